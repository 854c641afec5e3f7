#!/bin/sh
# Writes config/ again from the chart, for `kubectl apply -k config`: what changes with the chart, not kustomization.yaml
# and namespace.yaml, which are written by hand.
#   scripts/render-config.sh [FOLDER]
#
# helm is HELM if that is set, else the tests' own (scripts/build-kubernetes.sh).
set -eu
cd "$(dirname "$0")/.."
out=${1:-config}
helm=${HELM:-$(scripts/build-kubernetes.sh --print)/helm}
chart=charts/muster

# Not installed by helm, so nothing may say so.
"$helm" template muster "$chart" --namespace muster |
    sed -e '/^ *helm\.sh\/chart: /d' -e '/^ *app\.kubernetes\.io\/managed-by: Helm$/d' >"$out/muster.yaml.new"
{
    echo "# Written by scripts/render-config.sh from $chart. Do not edit."
    cat "$out/muster.yaml.new"
} >"$out/muster.yaml"
rm "$out/muster.yaml.new"

separator=
: >"$out/crds.yaml"
for crd in "$chart"/crds/*.yaml; do
    printf '%s' "$separator" >>"$out/crds.yaml"
    cat "$crd" >>"$out/crds.yaml"
    separator='---
'
done
