//! An X11 screen to open the editor on: creates windows, takes pictures of them, and simulates mouse and keyboard. Made
//! for Xvfb, a virtual screen, but works with any X server.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, EventMask,
    GetKeyboardMappingReply, ImageFormat, InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT,
    WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// Pause after each simulated input: an editor handles its events once per frame.
const HAND: Duration = Duration::from_millis(60);

/// A connection to the X server named by `DISPLAY`.
pub struct Screen {
    connection: RustConnection,
    root: u32,
}

/// An open window at the screen's upper left corner.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// X11's id of the window.
    pub id: u32,
}

/// A picture of a window's contents.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// In pixels.
    pub width: u16,
    /// In pixels.
    pub height: u16,
    /// Red, green and blue of every pixel, row by row.
    pub rgb: Vec<u8>,
}

impl Screen {
    /// Connects to the X server.
    pub fn open() -> Result<Self> {
        let (connection, number) = x11rb::connect(None).context("there is no X11 screen (see DISPLAY)")?;
        let root = connection.setup().roots[number].root;
        Ok(Self { connection, root })
    }

    /// Opens a window of this size, in pixels.
    pub fn frame(&self, width: u32, height: u32) -> Result<Frame> {
        let id = self.connection.generate_id()?;
        let mask = EventMask::STRUCTURE_NOTIFY | EventMask::KEY_PRESS;
        let looks = CreateWindowAux::new().background_pixel(0).event_mask(mask);
        let (width, height) = (width as u16, height as u16);
        let class = WindowClass::INPUT_OUTPUT;
        self.connection
            .create_window(COPY_DEPTH_FROM_PARENT, id, self.root, 0, 0, width, height, 0, class, 0, &looks)?
            .check()?;
        self.connection.map_window(id)?.check()?;
        self.settle()?;
        Ok(Frame { id })
    }

    /// Resizes a window, in pixels.
    pub fn resize(&self, frame: Frame, width: u32, height: u32) -> Result<()> {
        self.connection.configure_window(frame.id, &ConfigureWindowAux::new().width(width).height(height))?.check()?;
        self.settle()
    }

    /// Closes a window.
    pub fn close(&self, frame: Frame) -> Result<()> {
        self.connection.destroy_window(frame.id)?.check()?;
        self.settle()
    }

    /// The window's current contents.
    pub fn picture(&self, frame: Frame) -> Result<Picture> {
        let size = self.connection.get_geometry(frame.id)?.reply()?;
        let (width, height) = (size.width, size.height);
        let image = self.connection.get_image(ImageFormat::Z_PIXMAP, frame.id, 0, 0, width, height, !0)?.reply()?;
        let pixels = usize::from(width) * usize::from(height);
        ensure!(image.data.len() == pixels * 4, "the screen does not use 4 bytes per pixel; give Xvfb a depth of 24");
        let rgb = image.data.chunks_exact(4).flat_map(|bgr| [bgr[2], bgr[1], bgr[0]]).collect();
        Ok(Picture { width, height, rgb })
    }

    /// The window's contents once two pictures, `look` apart, are the same and not empty. `idle` lets the plugin run
    /// for the given time.
    ///
    /// # Errors
    /// If this does not happen within 20 seconds.
    pub fn picture_at_rest(&self, frame: Frame, look: Duration, mut idle: impl FnMut(Duration)) -> Result<Picture> {
        const LONGEST: Duration = Duration::from_secs(20);
        let began = Instant::now();
        let mut last = self.picture(frame)?;
        loop {
            idle(look);
            let next = self.picture(frame)?;
            if next == last && next.colors() > 8 {
                return Ok(next);
            }
            ensure!(began.elapsed() < LONGEST, "the editor keeps changing");
            last = next;
        }
    }

    /// Moves the pointer to a position on the screen and clicks there `times` times.
    pub fn click(&self, x: i16, y: i16, button: u8, times: usize) -> Result<()> {
        self.move_to(x, y)?;
        for _ in 0..times {
            self.fake(BUTTON_PRESS_EVENT, button, 0, 0)?;
            self.fake(BUTTON_RELEASE_EVENT, button, 0, 0)?;
        }
        Ok(())
    }

    /// Drags from one position to another with the left button, and waits for `stays` before releasing it.
    pub fn drag(&self, from: (i16, i16), to: (i16, i16), stays: Duration) -> Result<()> {
        self.move_to(from.0, from.1)?;
        self.fake(BUTTON_PRESS_EVENT, 1, 0, 0)?;
        for step in 1..=4 {
            let part = |a: i16, b: i16| a + (b - a) * step / 4;
            self.move_to(part(from.0, to.0), part(from.1, to.1))?;
        }
        std::thread::sleep(stays);
        self.fake(BUTTON_RELEASE_EVENT, 1, 0, 0)
    }

    /// Moves the pointer to a position on the screen, in pixels.
    pub fn move_to(&self, x: i16, y: i16) -> Result<()> {
        self.fake(MOTION_NOTIFY_EVENT, 0, x, y)
    }

    /// Presses and releases a key, given by its X11 keysym (for Latin letters and digits, their ASCII code), in the
    /// window under the pointer.
    pub fn key(&self, symbol: u32) -> Result<()> {
        self.press(symbol)?;
        self.release(symbol)
    }

    /// Presses a key; see [`Self::key`].
    pub fn press(&self, symbol: u32) -> Result<()> {
        self.connection.set_input_focus(InputFocus::POINTER_ROOT, 1_u32, 0_u32)?;
        self.fake(KEY_PRESS_EVENT, self.code(symbol)?, 0, 0)
    }

    /// Releases a key.
    pub fn release(&self, symbol: u32) -> Result<()> {
        self.fake(KEY_RELEASE_EVENT, self.code(symbol)?, 0, 0)
    }

    /// The keysyms of the key presses that windows of this connection have received since the last call.
    pub fn keys(&self) -> Result<Vec<u32>> {
        let (first, map) = self.map()?;
        let per = usize::from(map.keysyms_per_keycode);
        let mut keys = Vec::new();
        while let Some(event) = self.connection.poll_for_event()? {
            if let x11rb::protocol::Event::KeyPress(key) = event {
                keys.extend(map.keysyms.get(usize::from(key.detail - first) * per));
            }
        }
        Ok(keys)
    }

    /// The keyboard's lowest keycode, and the keysyms of all keycodes.
    fn map(&self) -> Result<(u8, GetKeyboardMappingReply)> {
        let setup = self.connection.setup();
        let (first, count) = (setup.min_keycode, setup.max_keycode - setup.min_keycode + 1);
        Ok((first, self.connection.get_keyboard_mapping(first, count)?.reply()?))
    }

    fn code(&self, symbol: u32) -> Result<u8> {
        let (first, map) = self.map()?;
        let per = usize::from(map.keysyms_per_keycode);
        let place = map.keysyms.chunks(per).position(|keys| keys.first() == Some(&symbol));
        Ok(first + place.context("this keyboard does not have the key")? as u8)
    }

    fn fake(&self, kind: u8, detail: u8, x: i16, y: i16) -> Result<()> {
        self.connection.xtest_fake_input(kind, detail, 0, self.root, x, y, 0)?.check()?;
        self.settle()?;
        std::thread::sleep(HAND);
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        Ok(self.connection.sync()?)
    }
}

impl Picture {
    /// Number of pixels that differ from another picture; all pixels, if the sizes differ.
    pub fn differs(&self, other: &Self) -> usize {
        if (self.width, self.height) != (other.width, other.height) {
            return self.rgb.len() / 3;
        }
        let pairs = self.rgb.chunks(3).zip(other.rgb.chunks(3));
        pairs.filter(|(one, other)| one != other).count()
    }

    /// Number of different colors.
    pub fn colors(&self) -> usize {
        let mut colors: Vec<&[u8]> = self.rgb.chunks(3).collect();
        colors.sort_unstable();
        colors.dedup();
        colors.len()
    }

    /// Writes the picture as a PNG.
    pub fn save(&self, path: &Path) -> Result<()> {
        let name = || format!("cannot write {}", path.display());
        let file = BufWriter::new(File::create(path).with_context(name)?);
        let mut encoder = png::Encoder::new(file, self.width.into(), self.height.into());
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Best);
        encoder.set_adaptive_filter(png::AdaptiveFilterType::Adaptive);
        encoder.write_header()?.write_image_data(&self.rgb).with_context(name)
    }
}
