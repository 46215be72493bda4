//! Plans of whole stacks.
