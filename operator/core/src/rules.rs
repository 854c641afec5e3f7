//! The numbered ladder of rules. The table in docs/rules.md is generated from here.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal,)+) => {
        /// A rule of the ladder.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum Rule {
            $($(#[doc = $doc])+ $name = $number,)+
        }
        impl Rule {
            /// All rules, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            /// Its stable number.
            pub const fn number(self) -> u16 {
                self as u16
            }
            /// Its PascalCase name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
            /// What it says.
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc, "\n",)+),)+ }
            }
        }
    };
}

rules! {
    /// Nothing to do: the active region is healthy.
    Stable = 499,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "R{} {}", self.number(), self.name())
    }
}
