//! Silence for graphics drivers that speak on stderr.

/// Keeps Mesa's device-select layer from asking for a Wayland display: where there is no screen it writes an error that is none.
#[expect(unsafe_code, reason = "the only way to set a variable that a driver in this process reads")]
pub(super) fn quiet_drivers() {
    const LAYER_OFF: &str = "NODEVICE_SELECT";
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() && std::env::var_os(LAYER_OFF).is_none() {
        // SAFETY: the first thing that the program does, so there is no other thread that could read the environment meanwhile.
        unsafe { std::env::set_var(LAYER_OFF, "1") };
    }
}
