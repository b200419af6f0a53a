//! Job files: schema, plan, run.
