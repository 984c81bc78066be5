//! `leveret-headers` as a shared object: exports its descriptor and nothing else.

leveret_plugin::export!(leveret_headers::PLUGIN);
