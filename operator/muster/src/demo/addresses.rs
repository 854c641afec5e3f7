//! Who listens where: one loopback address per place and path, one port per kind.
//!
//! `127.0.<to>.<from>`: the second-last number says who is reached, the last one over which path. `.2` is the
//! thing itself, `.1` the path of clients outside (the address in DNS), `.11` the controller's, `.21` and `.22`
//! the vantages', `.31` and up the other regions'. So everybody's path to a region can be cut on its own, and
//! different worlds on one machine differ in their ports.

use anyhow::{Context, bail};
use muster_core::ids::RegionName;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// A place in the world.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Place {
    /// Clients of the public.
    Outside,
    /// The controller.
    Controller,
    /// A vantage, by number from 1; stands outside all regions.
    Vantage(u8),
    /// A region.
    Region(RegionName),
    /// The authoritative name server.
    NameServer,
    /// An independent target that shows whether an observer is connected, by number from 1.
    Anchor(u8),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside => f.write_str("outside"),
            Self::Controller => f.write_str("controller"),
            Self::Vantage(n) => write!(f, "v{n}"),
            Self::Region(name) => write!(f, "{name}"),
            Self::NameServer => f.write_str("name server"),
            Self::Anchor(n) => write!(f, "anchor {n}"),
        }
    }
}

/// What is reached; decides the port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// The order service.
    Api,
    /// PostgreSQL.
    Database,
    /// The name server.
    Dns,
    /// An anchor.
    Anchor,
    /// The controller's HTTP API.
    Control,
}

const KINDS: u16 = 5;
/// Below the kernel's own range for outgoing connections, so that no client takes a port between choice and use.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// The addresses of one world.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Addresses {
    regions: Vec<RegionName>,
    first_port: u16,
}

/// Ports taken for a world; holds a guard listener, so that no other world takes the same ones.
#[derive(Debug)]
pub struct PortLease {
    _guard: TcpListener,
}

impl Addresses {
    /// Chooses free ports for these regions.
    pub fn choose(regions: &[RegionName]) -> anyhow::Result<(Self, PortLease)> {
        const TRIES: u32 = 200;
        for _ in 0..TRIES {
            let first_port = rand::rng().random_range(PORTS) / 10 * 10;
            let Ok(guard) = TcpListener::bind((Ipv4Addr::LOCALHOST, first_port + KINDS)) else { continue };
            let addresses = Self { regions: regions.to_vec(), first_port };
            if addresses.are_free() {
                return Ok((addresses, PortLease { _guard: guard }));
            }
        }
        bail!("no five free ports in a row were found on the loopback addresses")
    }

    fn are_free(&self) -> bool {
        let servers = self.regions.iter().cloned().map(Place::Region);
        let places: Vec<Place> = servers
            .chain([Place::NameServer, Place::Controller, Place::Anchor(1), Place::Anchor(2)])
            .collect();
        let kinds = [Kind::Api, Kind::Database, Kind::Dns, Kind::Anchor, Kind::Control];
        places.iter().all(|place| {
            kinds.iter().all(|kind| {
                let own = self.own(place, *kind);
                TcpListener::bind(own).is_ok() && UdpSocket::bind(own).is_ok()
            })
        })
    }

    /// The regions, in order of preference.
    pub fn regions(&self) -> &[RegionName] {
        &self.regions
    }

    /// A region's number, from 1.
    pub fn number(&self, region: &RegionName) -> anyhow::Result<u8> {
        let index = self.regions.iter().position(|r| r == region);
        let index = index.with_context(|| format!("there is no region {region} in this world"))?;
        u8::try_from(index + 1).context("more regions than a demo has")
    }

    /// Where a thing itself listens; reached directly by those who stand beside it.
    pub fn own(&self, place: &Place, kind: Kind) -> SocketAddr {
        if *place == Place::NameServer {
            // BIND listens only on addresses that an interface has by name.
            return SocketAddr::from((Ipv4Addr::LOCALHOST, self.port(kind)));
        }
        self.address(place, 2, kind)
    }

    /// Where `from` reaches `to`: over a link of its own.
    pub fn path(&self, from: &Place, to: &Place, kind: Kind) -> SocketAddr {
        let code = match from {
            Place::Outside => 1,
            Place::Controller => 11,
            Place::Vantage(n) => 20 + n,
            Place::Region(name) => 30 + self.number(name).unwrap_or_default(),
            Place::NameServer => 41,
            Place::Anchor(n) => 50 + n,
        };
        self.address(to, code, kind)
    }

    fn address(&self, to: &Place, code: u8, kind: Kind) -> SocketAddr {
        let host = match to {
            Place::Region(name) => self.number(name).unwrap_or_default(),
            Place::NameServer => 9,
            Place::Anchor(n) => 10 + n,
            Place::Controller => 20,
            Place::Outside => 29,
            Place::Vantage(n) => 30 + n,
        };
        SocketAddr::from((Ipv4Addr::new(127, 0, host, code), self.port(kind)))
    }

    /// The port of a kind, the same at every address.
    pub fn port(&self, kind: Kind) -> u16 {
        let offset = match kind {
            Kind::Api => 0,
            Kind::Database => 1,
            Kind::Dns => 2,
            Kind::Anchor => 3,
            Kind::Control => 4,
        };
        self.first_port + offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_an_address_of_its_own() {
        let regions: Vec<RegionName> = ["east", "west", "north"].map(RegionName::from).into();
        let (addresses, _lease) = Addresses::choose(&regions).unwrap();
        let east = Place::Region("east".into());
        let froms = [
            Place::Outside,
            Place::Controller,
            Place::Vantage(1),
            Place::Vantage(2),
            Place::Region("west".into()),
        ];
        let mut all: Vec<_> = froms.iter().map(|from| addresses.path(from, &east, Kind::Database)).collect();
        all.push(addresses.own(&east, Kind::Database));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        assert_eq!(addresses.path(&Place::Outside, &east, Kind::Api).ip().to_string(), "127.0.1.1");
    }

    #[test]
    fn two_worlds_never_share_a_port() {
        let regions = ["east", "west"].map(RegionName::from);
        let (one, _a) = Addresses::choose(&regions).unwrap();
        let (two, _b) = Addresses::choose(&regions).unwrap();
        assert_ne!(one.port(Kind::Api), two.port(Kind::Api));
    }
}
