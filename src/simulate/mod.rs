//! Synthetic datasets with their truth.
