//! The macros that make a plugin of types.

/// Makes `pub static PLUGIN`, the [`Descriptor`](crate::abi::Descriptor) of a plugin with these
/// [exchange types](crate::ExchangeType), [transforms](crate::Transform) and
/// [auth plugins](crate::Auth). Lists that are empty may be left out.
///
/// ```ignore
/// leveret_plugin::plugin! { name: "acme", exchanges: [Geo], transforms: [Mask], auths: [Ldap] }
/// ```
#[macro_export]
macro_rules! plugin {
    (
        name: $name:expr
        $(, exchanges: [$($exchange:ty),* $(,)?])?
        $(, transforms: [$($transform:ty),* $(,)?])?
        $(, auths: [$($auth:ty),* $(,)?])?
        $(,)?
    ) => {
        /// What this plugin is and holds.
        #[allow(unreachable_pub)]
        pub static PLUGIN: $crate::abi::Descriptor = {
            const ITEMS: &[$crate::abi::Item] = &[
                $($($crate::shim::exchange::<$exchange>(),)*)?
                $($($crate::shim::transform::<$transform>(),)*)?
                $($($crate::shim::auth::<$auth>(),)*)?
            ];
            $crate::shim::descriptor(
                $name,
                env!("CARGO_PKG_VERSION"),
                cfg!(panic = "unwind"),
                ITEMS,
            )
        };
    };
}

/// Exports a plugin from a shared object. Only in a crate of type `cdylib`, and once.
///
/// ```ignore
/// leveret_plugin::export!(acme::PLUGIN);
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:path) => {
        const _: () = {
            /// Where the broker enters.
            ///
            /// # Safety
            /// `host` is null or lives as long as the process.
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn leveret_plugin_v1(
                host: *const $crate::abi::Host,
            ) -> *const $crate::abi::Descriptor {
                // SAFETY: promised by the caller.
                unsafe { $crate::shim::enter(host, &$plugin) }
            }
        };
    };
}
