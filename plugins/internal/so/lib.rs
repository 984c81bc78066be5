//! `leveret-internal` as a shared object: exports its descriptor and nothing else.

leveret_plugin::export!(leveret_internal::PLUGIN);
