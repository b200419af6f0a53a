//! Counting statistics: the noise that theory gives each method.
