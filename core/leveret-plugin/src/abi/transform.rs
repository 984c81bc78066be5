//! Transforms: messages that may be changed. The rules are those of [the parent](super).

use std::ffi::c_void;

use super::{Answer, Bytes, Host, Message};

/// A transform: the message disappears; the text of the [`Answer`] is the reason it is counted
/// under.
pub const DROP: i32 = 2;
/// A transform: the message is refused with the code and the text of the [`Answer`].
pub const REJECT: i32 = 3;

/// After the checks of basic.publish, before routing. Stages are flags of an [`Interest`].
pub const STAGE_PUBLISH: u32 = 1;
/// Before the frames of a delivery are written.
pub const STAGE_DELIVER: u32 = 2;

/// A transform that failed rejects the message with code 541.
pub const ON_ERROR_REJECT: u32 = 0;
/// A transform that failed is passed over.
pub const ON_ERROR_PASS: u32 = 1;
/// A transform that failed drops the message.
pub const ON_ERROR_DROP: u32 = 2;

/// Which messages a transform is concerned with; the broker tests it. An absent text (null `ptr`)
/// matches everything; names may end in `*`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Interest {
    /// Size of this struct in bytes.
    pub size: u32,
    /// `LEVERET_STAGE_*`, combined.
    pub stages: u32,
    /// `LEVERET_ON_ERROR_*`.
    pub on_error: u32,
    /// Zero.
    pub reserved: u32,
    /// Name of the exchange that the message was published to.
    pub exchange: Bytes,
    /// Name of the queue (deliver only).
    pub queue: Bytes,
    /// Routing key.
    pub routing_key: Bytes,
    /// The property content_type.
    pub content_type: Bytes,
    /// User who published (publish) or consumes (deliver).
    pub user: Bytes,
    /// A header that must be present.
    pub header: Bytes,
}

/// A message that a transform may change. The functions return [`OK`](super::OK) or
/// [`FAILED`](super::FAILED) (malformed input, which changes nothing); afterwards `message` shows
/// the new state, and what was read through it before may be gone.
#[repr(C)]
#[derive(Debug)]
pub struct MessageMut {
    /// Size of this struct in bytes.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// The message as it stands now.
    pub message: *const Message,
    /// The broker's own.
    pub context: *mut c_void,
    /// Replaces the routing key (at most 255 bytes of UTF-8).
    pub set_routing_key: Option<unsafe extern "C" fn(message: *mut MessageMut, key: Bytes) -> i32>,
    /// Replaces property flags and list.
    pub set_properties:
        Option<unsafe extern "C" fn(message: *mut MessageMut, properties: Bytes) -> i32>,
    /// Adds or replaces a header. `value` is a field value with its type octet in front.
    pub set_header:
        Option<unsafe extern "C" fn(message: *mut MessageMut, name: Bytes, value: Bytes) -> i32>,
    /// Removes a header, if it is there.
    pub remove_header: Option<unsafe extern "C" fn(message: *mut MessageMut, name: Bytes) -> i32>,
    /// Replaces the body.
    pub set_body: Option<unsafe extern "C" fn(message: *mut MessageMut, body: Bytes) -> i32>,
}

/// A transform of messages. `apply` runs on many threads at once and must not block.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TransformVtable {
    /// Size of this struct in bytes.
    pub size: u32,
    /// Zero.
    pub flags: u32,
    /// Makes the transform. `config` is JSON text. Required.
    pub create: Option<
        unsafe extern "C" fn(
            host: *const Host,
            config: Bytes,
            transform: *mut *mut c_void,
            answer: *mut Answer,
        ) -> i32,
    >,
    /// Ends what `create` made. Required.
    pub destroy: Option<unsafe extern "C" fn(transform: *mut c_void)>,
    /// What it is concerned with; lives as long as the transform. Null is a failure. Required.
    pub interest: Option<unsafe extern "C" fn(transform: *const c_void) -> *const Interest>,
    /// Looks at one message at one stage (`LEVERET_STAGE_*`) and may change it: [`OK`](super::OK),
    /// [`DROP`], [`REJECT`], or a failure. Required.
    pub apply: Option<
        unsafe extern "C" fn(
            transform: *const c_void,
            stage: u32,
            message: *mut MessageMut,
            answer: *mut Answer,
        ) -> i32,
    >,
}
