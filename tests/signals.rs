//! Placeholder until the tests below exist. Written next.
