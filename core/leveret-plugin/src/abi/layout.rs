//! Asserts that no field has moved: a plugin built years ago must still fit.
#![cfg(target_pointer_width = "64")]

use super::*;
use std::mem::{align_of, offset_of, size_of};

const _: () = {
    assert!(size_of::<Bytes>() == 16 && offset_of!(Bytes, len) == 8);
    assert!(size_of::<Address>() == 20 && align_of::<Address>() == 1);
    assert!(size_of::<Answer>() == 24 && offset_of!(Answer, length) == 20);
    assert!(size_of::<Slots>() == 40 && offset_of!(Slots, grow) == 32);
    assert!(size_of::<Message>() == 144 && offset_of!(Message, peer) == 120);
    assert!(size_of::<Binding>() == 64 && offset_of!(Binding, destination) == 48);
    assert!(size_of::<Declaration>() == 56 && offset_of!(Declaration, arguments) == 40);
    assert!(size_of::<ExchangeVtable>() == 80 && offset_of!(ExchangeVtable, route) == 72);
    assert!(size_of::<Interest>() == 112 && offset_of!(Interest, header) == 96);
    assert!(size_of::<MessageMut>() == 64 && offset_of!(MessageMut, set_body) == 56);
    assert!(size_of::<TransformVtable>() == 40 && offset_of!(TransformVtable, apply) == 32);
    assert!(size_of::<Credentials>() == 80 && offset_of!(Credentials, peer) == 56);
    assert!(size_of::<Access>() == 104 && offset_of!(Access, peer) == 80);
    assert!(size_of::<Reply>() == 56 && offset_of!(Reply, reason) == 40);
    assert!(size_of::<Completion>() == 32 && offset_of!(Completion, complete) == 24);
    assert!(size_of::<AuthVtable>() == 64 && offset_of!(AuthVtable, changed) == 56);
    assert!(size_of::<PermissionRecord>() == 72 && offset_of!(PermissionRecord, read) == 56);
    assert!(size_of::<User>() == 72 && offset_of!(User, permission_count) == 64);
    assert!(size_of::<Host>() == 32 && offset_of!(Host, user) == 24);
    assert!(size_of::<Item>() == 32 && offset_of!(Item, vtable) == 24);
    assert!(size_of::<Descriptor>() == 96 && offset_of!(Descriptor, items) == 88);
};
