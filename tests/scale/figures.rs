//! How fast several nodes are, and what that they are several costs.
