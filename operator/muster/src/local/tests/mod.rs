//! Whole controllers on loopback.
