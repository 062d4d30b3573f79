//! The one filter grammar (being written).
