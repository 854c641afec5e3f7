# A static binary, certificates to trust, and nothing else.
#   docker build -t REGISTRY/muster:0.1.0 .
# On an ARM machine: --build-arg TARGET=aarch64-unknown-linux-musl
FROM rust:1.95-bookworm AS build
ARG TARGET=x86_64-unknown-linux-musl
# A C compiler for musl: SQLite and ring are built from source.
RUN apt-get update && apt-get install --no-install-recommends -y musl-tools ca-certificates && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# The toolchain first: it changes more rarely than the code.
COPY rust-toolchain.toml .
RUN rustup target add "$TARGET"
COPY . .
RUN cargo build --locked --release -p muster --target "$TARGET" && strip -o /muster "target/$TARGET/release/muster"

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /muster /muster
# By number, so that Kubernetes sees that it is not root.
USER 65532:65532
EXPOSE 7420
ENTRYPOINT ["/muster"]
CMD ["operator"]
