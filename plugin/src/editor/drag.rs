//! Dragging a file out of the window, into the host or a folder. On X11 with its drag-and-drop protocol XDND, version
//! 5; not implemented on other systems, where Save and Copy remain.
//!
//! The framework only supports drags into the window. While the mouse button is down, the window's own X11 connection
//! has grabbed the pointer, so this code cannot grab it, and need not: a thread with a connection of its own polls the
//! pointer position and sends XDND messages to the window below.

use std::path::Path;

/// The outcome of a drag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub enum Outcome {
    /// A window has accepted the file.
    Taken,
    /// No window has accepted it where it was dropped.
    Refused,
}

/// Whether this system supports dragging files out.
pub const POSSIBLE: bool = cfg!(target_os = "linux");

/// Drags a file; returns after the mouse button is released. `None`: the X server cannot be reached.
#[cfg(target_os = "linux")]
pub fn drag_out(file: &Path) -> Option<Outcome> {
    x11::drag_out(file).ok()
}

/// Not supported on this system.
#[cfg(not(target_os = "linux"))]
pub fn drag_out(_: &Path) -> Option<Outcome> {
    None
}

#[cfg(target_os = "linux")]
mod x11 {
    use std::error::Error;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use x11rb::connection::Connection;
    use x11rb::protocol::Event;
    use x11rb::protocol::xproto::{
        Atom, AtomEnum, ClientMessageEvent, ConnectionExt, CreateWindowAux, EventMask, KeyButMask, PropMode,
        SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
    };
    use x11rb::rust_connection::RustConnection;
    use x11rb::wrapper::ConnectionExt as _;
    use x11rb::{COPY_FROM_PARENT, CURRENT_TIME};

    use super::Outcome;

    /// The latest protocol version supported here.
    const VERSION: u32 = 5;
    /// How often the pointer is polled.
    const POLL: Duration = Duration::from_millis(10);
    /// How long a window may take to fetch a dropped file.
    const FETCH: Duration = Duration::from_secs(10);
    /// How deep nested windows are searched.
    const DEEPEST: usize = 32;

    x11rb::atom_manager! {
        Atoms: AtomsCookie {
            XdndAware, XdndSelection, XdndEnter, XdndPosition, XdndStatus, XdndLeave, XdndDrop, XdndFinished,
            XdndActionCopy, TARGETS, uri_list: b"text/uri-list",
        }
    }

    /// A window that supports XDND.
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Target {
        window: Window,
        version: u32,
    }

    struct DragSource<'a> {
        connection: &'a RustConnection,
        root: Window,
        atoms: Atoms,
        /// Our window, which is never shown: the source of the messages.
        source: Window,
        /// The dragged file, as a URI list.
        list: Vec<u8>,
        target: Option<Target>,
        /// The target has not answered the latest position yet.
        waits: bool,
        accepts: bool,
        finished: bool,
    }

    pub fn drag_out(file: &Path) -> Result<Outcome, Box<dyn Error>> {
        let (connection, screen) = x11rb::connect(None)?;
        let root = connection.setup().roots[screen].root;
        let atoms = Atoms::new(&connection)?.reply()?;
        let source = connection.generate_id()?;
        let attributes = CreateWindowAux::new().override_redirect(1);
        let class = WindowClass::INPUT_ONLY;
        connection.create_window(0, source, root, -1, -1, 1, 1, 0, class, COPY_FROM_PARENT, &attributes)?.check()?;
        connection.set_selection_owner(source, atoms.XdndSelection, CURRENT_TIME)?.check()?;
        let list = format!("{}\r\n", address(file)).into_bytes();
        let mut drag_source = DragSource {
            connection: &connection,
            root,
            atoms,
            source,
            list,
            target: None,
            waits: false,
            accepts: false,
            finished: false,
        };
        drag_source.run()
    }

    impl DragSource<'_> {
        fn run(&mut self) -> Result<Outcome, Box<dyn Error>> {
            let mut last = None;
            loop {
                self.handle_events()?;
                let pointer = self.connection.query_pointer(self.root)?.reply()?;
                if !pointer.mask.contains(KeyButMask::BUTTON1) {
                    return self.drop_it();
                }
                let place = (pointer.root_x, pointer.root_y);
                let target = self.under_pointer()?;
                if target != self.target {
                    self.leave()?;
                    self.enter(target)?;
                    last = None;
                }
                if last != Some(place) && !self.waits {
                    self.point(place)?;
                    last = Some(place);
                }
                std::thread::sleep(POLL);
            }
        }

        /// Called when the mouse button is released.
        fn drop_it(&mut self) -> Result<Outcome, Box<dyn Error>> {
            let since = Instant::now();
            // A slow window may not have answered yet.
            while self.waits && since.elapsed() < FETCH {
                self.handle_events()?;
                std::thread::sleep(POLL);
            }
            if !self.accepts {
                self.leave()?;
                return Ok(Outcome::Refused);
            }
            self.send(self.atoms.XdndDrop, [0, CURRENT_TIME, 0, 0])?;
            while !self.finished && since.elapsed() < FETCH {
                self.handle_events()?;
                std::thread::sleep(POLL);
            }
            Ok(if self.finished { Outcome::Taken } else { Outcome::Refused })
        }

        /// The outermost window under the pointer that supports XDND.
        fn under_pointer(&self) -> Result<Option<Target>, Box<dyn Error>> {
            let mut window = self.root;
            for _ in 0..DEEPEST {
                let aware = self.connection.get_property(false, window, self.atoms.XdndAware, AtomEnum::ATOM, 0, 1)?;
                // A window may vanish meanwhile.
                let version = aware.reply().ok().and_then(|reply| reply.value32()?.next());
                if let Some(version) = version {
                    return Ok(Some(Target { window, version: version.min(VERSION) }));
                }
                match self.connection.query_pointer(window)?.reply() {
                    Ok(pointer) if pointer.child != x11rb::NONE => window = pointer.child,
                    _ => break,
                }
            }
            Ok(None)
        }

        fn enter(&mut self, target: Option<Target>) -> Result<(), Box<dyn Error>> {
            self.target = target;
            let version = target.map_or(0, |target| target.version);
            self.send(self.atoms.XdndEnter, [version << 24, self.atoms.uri_list, 0, 0])
        }

        fn leave(&mut self) -> Result<(), Box<dyn Error>> {
            self.send(self.atoms.XdndLeave, [0; 4])?;
            (self.target, self.waits, self.accepts) = (None, false, false);
            Ok(())
        }

        fn point(&mut self, (x, y): (i16, i16)) -> Result<(), Box<dyn Error>> {
            let place = u32::from(x as u16) << 16 | u32::from(y as u16);
            self.waits = self.target.is_some();
            self.send(self.atoms.XdndPosition, [0, place, CURRENT_TIME, self.atoms.XdndActionCopy])
        }

        /// Sends the target a message, if there is a target.
        fn send(&self, what: Atom, [a, b, c, d]: [u32; 4]) -> Result<(), Box<dyn Error>> {
            if let Some(Target { window, .. }) = self.target {
                let message = ClientMessageEvent::new(32, window, what, [self.source, a, b, c, d]);
                self.connection.send_event(false, window, EventMask::NO_EVENT, message)?;
                self.connection.flush()?;
            }
            Ok(())
        }

        /// Handles the events from other windows.
        fn handle_events(&mut self) -> Result<(), Box<dyn Error>> {
            while let Some(event) = self.connection.poll_for_event()? {
                match event {
                    Event::ClientMessage(message) => self.handle_message(&message),
                    Event::SelectionRequest(request) => self.give(&request)?,
                    _ => {}
                }
            }
            Ok(())
        }

        fn handle_message(&mut self, message: &ClientMessageEvent) {
            let [from, flags, ..] = message.data.as_data32();
            if self.target.is_none_or(|target| target.window != from) {
                return;
            }
            if message.type_ == self.atoms.XdndStatus {
                (self.waits, self.accepts) = (false, flags & 1 != 0);
            } else if message.type_ == self.atoms.XdndFinished {
                self.finished = true;
            }
        }

        /// Answers a request for the file, or for the list of its types.
        fn give(&self, request: &SelectionRequestEvent) -> Result<(), Box<dyn Error>> {
            let (window, kind) = (request.requestor, request.target);
            let property = if request.property == x11rb::NONE { kind } else { request.property };
            let given = if kind == self.atoms.uri_list {
                self.connection.change_property8(PropMode::REPLACE, window, property, kind, &self.list)?;
                property
            } else if kind == self.atoms.TARGETS {
                let kinds = [self.atoms.TARGETS, self.atoms.uri_list];
                self.connection.change_property32(PropMode::REPLACE, window, property, AtomEnum::ATOM, &kinds)?;
                property
            } else {
                x11rb::NONE
            };
            let answer = SelectionNotifyEvent {
                response_type: SELECTION_NOTIFY_EVENT,
                sequence: 0,
                time: request.time,
                requestor: window,
                selection: request.selection,
                target: kind,
                property: given,
            };
            self.connection.send_event(false, window, EventMask::NO_EVENT, answer)?;
            self.connection.flush()?;
            Ok(())
        }
    }

    /// A file's URI, percent-encoded by RFC 3986.
    fn address(file: &Path) -> String {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
        let spell = |byte: &u8| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
        format!("file://{}", file.as_os_str().as_bytes().iter().map(spell).collect::<String>())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_address_has_no_spaces_and_no_letters_but_latin_ones() {
            let file = Path::new("/home/élise/Antiphon take 3 seed 17.mid");
            assert_eq!(address(file), "file:///home/%C3%A9lise/Antiphon%20take%203%20seed%2017.mid");
        }
    }
}
