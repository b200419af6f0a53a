//! Third-party data whose truth is known.
