//! The pages of `docs` that tell of configuration and JSON.
