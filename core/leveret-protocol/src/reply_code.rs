//! Reply codes (AMQP 0-9-1, section 1.2.5.1) and the reply that a close or return carries.

use std::fmt;

/// What a reply code ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing: a plain answer.
    None,
    /// The channel ("soft" error): channel.close.
    Channel,
    /// The connection ("hard" error): connection.close, whichever channel raised it.
    Connection,
}

macro_rules! reply_codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $scope:ident;)*) => {
        /// A reply code of AMQP 0-9-1.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum ReplyCode {
            $($(#[$doc])* $variant = $number,)*
        }

        impl ReplyCode {
            /// Every code, in ascending order.
            pub const ALL: &'static [ReplyCode] = &[$(ReplyCode::$variant),*];

            /// The constant's name as reply texts begin with it, for example `NOT_FOUND`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(ReplyCode::$variant => $name,)* }
            }

            /// What the code ends.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(ReplyCode::$variant => Scope::$scope,)* }
            }

            /// The code with this number, if AMQP knows one.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(ReplyCode::$variant),)* _ => None }
            }
        }
    };
}

reply_codes! {
    /// Success: the code of a close without an error.
    Success = 200, "REPLY_SUCCESS", None;
    /// The content is larger than the peer takes; kept for completeness, never sent.
    ContentTooLarge = 311, "CONTENT_TOO_LARGE", Channel;
    /// A mandatory message went to no queue (basic.return).
    NoRoute = 312, "NO_ROUTE", Channel;
    /// An immediate message met no consumer; kept for completeness, never sent.
    NoConsumers = 313, "NO_CONSUMERS", Channel;
    /// An operator or the broker's own shutdown ended the connection.
    ConnectionForced = 320, "CONNECTION_FORCED", Connection;
    /// Unknown virtual host; kept for completeness, never sent.
    InvalidPath = 402, "INVALID_PATH", Connection;
    /// No permission.
    AccessRefused = 403, "ACCESS_REFUSED", Channel;
    /// The entity does not exist.
    NotFound = 404, "NOT_FOUND", Channel;
    /// Another connection owns the entity.
    ResourceLocked = 405, "RESOURCE_LOCKED", Channel;
    /// The request contradicts the state of the entity.
    PreconditionFailed = 406, "PRECONDITION_FAILED", Channel;
    /// A frame could not be decoded.
    FrameError = 501, "FRAME_ERROR", Connection;
    /// A field held an illegal value.
    SyntaxError = 502, "SYNTAX_ERROR", Connection;
    /// A method that is not allowed in this place.
    CommandInvalid = 503, "COMMAND_INVALID", Connection;
    /// A method for a channel that is not open, or is open already.
    ChannelError = 504, "CHANNEL_ERROR", Connection;
    /// A frame that was not expected here.
    UnexpectedFrame = 505, "UNEXPECTED_FRAME", Connection;
    /// The broker lacks the resources for this.
    ResourceError = 506, "RESOURCE_ERROR", Connection;
    /// The broker does not allow this.
    NotAllowed = 530, "NOT_ALLOWED", Connection;
    /// The broker does not have this.
    NotImplemented = 540, "NOT_IMPLEMENTED", Connection;
    /// The broker itself failed.
    InternalError = 541, "INTERNAL_ERROR", Connection;
}

impl ReplyCode {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.name())
    }
}

/// Longest reply text, in bytes: it is a short string.
const MAX_TEXT_BYTES: usize = 255;

/// Why a channel or connection is closed, or a message returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The code.
    pub code: ReplyCode,
    /// `NAME - explanation`, at most 255 bytes.
    pub text: String,
    /// Class of the method at fault, 0 where none is.
    pub class_id: u16,
    /// Method at fault, 0 where none is.
    pub method_id: u16,
}

impl Reply {
    /// A reply whose text is the code's name and `explanation`, blaming `method` (class, method).
    #[must_use]
    pub fn new(code: ReplyCode, method: (u16, u16), explanation: impl fmt::Display) -> Self {
        let mut text = format!("{} - {explanation}", code.name());
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        Self { code, text, class_id: method.0, method_id: method.1 }
    }

    /// A reply whose text is the code's name alone, as 541 and basic.return's 312 have it.
    #[must_use]
    pub fn bare(code: ReplyCode, method: (u16, u16)) -> Self {
        Self { code, text: code.name().to_owned(), class_id: method.0, method_id: method.1 }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.number(), self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_number() {
        for code in ReplyCode::ALL {
            assert_eq!(ReplyCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(ReplyCode::from_number(499), None);
    }

    #[test]
    fn text_is_cut_to_255_bytes_without_splitting_a_character() {
        let reply = Reply::new(ReplyCode::NotFound, (50, 10), "ü".repeat(200));
        assert_eq!(reply.text.len(), 254);
        assert!(reply.text.starts_with("NOT_FOUND - ü"));
        let reply = Reply::new(ReplyCode::NotFound, (50, 10), "u".repeat(400));
        assert_eq!(reply.text.len(), 255);
    }

    #[test]
    fn soft_codes_end_the_channel_and_hard_codes_the_connection() {
        assert_eq!(ReplyCode::AccessRefused.scope(), Scope::Channel);
        assert_eq!(ReplyCode::NotAllowed.scope(), Scope::Connection);
        assert_eq!(ReplyCode::Success.scope(), Scope::None);
    }
}
