//! A window that accepts drops, like a host's track or a folder: the target side of XDND version 5, X11's drag-and-drop
//! protocol.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;
use x11rb::{COPY_DEPTH_FROM_PARENT, CURRENT_TIME};

/// The supported version of the protocol.
const VERSION: u32 = 5;
/// Time between two checks for new events.
const LOOK: Duration = Duration::from_millis(5);

x11rb::atom_manager! {
    Atoms: AtomsCookie {
        XdndAware, XdndSelection, XdndEnter, XdndPosition, XdndStatus, XdndLeave, XdndDrop, XdndFinished,
        XdndActionCopy, uri_list: b"text/uri-list", DROPPED: b"DROPPED",
    }
}

/// An open window that accepts drops.
pub struct Target {
    connection: RustConnection,
    window: Window,
    atoms: Atoms,
    /// The window that a drag comes from, and whether it offers a `text/uri-list`.
    source: Option<(Window, bool)>,
}

impl Target {
    /// Opens a square window at this position on the screen, in pixels.
    pub fn open(x: i16, y: i16, side: u16) -> Result<Self> {
        let (connection, number) = x11rb::connect(None).context("there is no X11 screen (see DISPLAY)")?;
        let root = connection.setup().roots[number].root;
        let atoms = Atoms::new(&connection)?.reply()?;
        let window = connection.generate_id()?;
        let (looks, class) = (CreateWindowAux::new().background_pixel(0), WindowClass::INPUT_OUTPUT);
        connection
            .create_window(COPY_DEPTH_FROM_PARENT, window, root, x, y, side, side, 0, class, 0, &looks)?
            .check()?;
        connection.change_property32(PropMode::REPLACE, window, atoms.XdndAware, AtomEnum::ATOM, &[VERSION])?;
        connection.map_window(window)?.check()?;
        Ok(Self { connection, window, atoms, source: None })
    }

    /// Waits for a drop; returns the dropped URIs, one per line.
    pub fn wait(&mut self, timeout: Duration) -> Result<String> {
        let began = Instant::now();
        while began.elapsed() < timeout {
            match self.connection.poll_for_event()? {
                Some(Event::ClientMessage(message)) => self.handle_message(&message)?,
                Some(Event::SelectionNotify(notify)) => {
                    let (atoms, any) = (self.atoms, AtomEnum::ANY);
                    let dropped = self.connection.get_property(true, self.window, notify.property, any, 0, 1 << 16)?;
                    let dropped = dropped.reply()?.value;
                    self.send_message(atoms.XdndFinished, [1, atoms.XdndActionCopy, 0, 0])?;
                    return String::from_utf8(dropped).context("the dropped URL is not UTF-8");
                }
                Some(_) => {}
                None => std::thread::sleep(LOOK),
            }
        }
        bail!("nothing was dropped")
    }

    fn handle_message(&mut self, message: &ClientMessageEvent) -> Result<()> {
        let (atoms, [from, first, second, ..]) = (self.atoms, message.data.as_data32());
        if message.type_ == atoms.XdndEnter {
            anyhow::ensure!(first >> 24 <= VERSION, "unsupported XDND version {}", first >> 24);
            self.source = Some((from, second == atoms.uri_list));
        } else if message.type_ == atoms.XdndLeave {
            self.source = None;
        } else if message.type_ == atoms.XdndPosition {
            let wants = self.source.is_some_and(|source| source.1);
            self.send_message(atoms.XdndStatus, [u32::from(wants), 0, 0, atoms.XdndActionCopy])?;
        } else if message.type_ == atoms.XdndDrop {
            let (selection, kind) = (atoms.XdndSelection, atoms.uri_list);
            self.connection.convert_selection(self.window, selection, kind, atoms.DROPPED, CURRENT_TIME)?;
            self.connection.flush()?;
        }
        Ok(())
    }

    fn send_message(&self, what: Atom, [a, b, c, d]: [u32; 4]) -> Result<()> {
        if let Some((source, _)) = self.source {
            let message = ClientMessageEvent::new(32, source, what, [self.window, a, b, c, d]);
            self.connection.send_event(false, source, EventMask::NO_EVENT, message)?;
            self.connection.flush()?;
        }
        Ok(())
    }
}
