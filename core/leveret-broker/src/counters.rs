//! Counts of what happened to messages that nobody consumed. Nothing is dropped without one.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::dead_letter::Reason;

macro_rules! dropped {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// Why a message was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Dropped {
            $($(#[$doc])* $variant,)*
        }

        impl Dropped {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The reason as metrics name it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

dropped! {
    /// No queue took it and nobody asked for its return.
    Unroutable => "unroutable",
    /// Its time to live was over and its queue has no dead-letter exchange.
    Expired => "expired",
    /// Its queue was full and has no dead-letter exchange.
    MaxLength => "maxlen",
    /// A consumer rejected it and its queue has no dead-letter exchange.
    Rejected => "rejected",
    /// It was delivered too often and its queue has no dead-letter exchange.
    DeliveryLimit => "delivery_limit",
    /// Its dead-letter exchange had no queue for it, or only one that it came from.
    DeadLetterUnroutable => "dead_letter_unroutable",
    /// A transform dropped it.
    Transform => "transform",
    /// Its exchange could not route it, and there was nobody to tell.
    RouteFailed => "route_failed",
}

impl From<Reason> for Dropped {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Expired => Self::Expired,
            Reason::MaxLength => Self::MaxLength,
            Reason::Rejected => Self::Rejected,
            Reason::DeliveryLimit => Self::DeliveryLimit,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Counters {
    dropped: [AtomicU64; Dropped::ALL.len()],
}

impl Counters {
    /// One more was dropped.
    pub(crate) fn dropped(&self, why: Dropped) {
        self.dropped[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many were dropped for this reason.
    pub fn dropped_total(&self, why: Dropped) -> u64 {
        self.dropped[why as usize].load(Ordering::Relaxed)
    }
}
