//! The command line: everything that is typed and printed.
