//! Sorts the plugin's output into the player's notes, passed through, and the plugin's own, and pairs each note-on with
//! its note-off.

use crate::event::{Event, NoteEventKind, Output, Timed};

/// A note of the plugin's output; times in samples since activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayedNote {
    /// Time of the note-on.
    pub on: u64,
    /// Time of the note-off.
    pub off: u64,
    /// Number of the block that sent the note-on.
    pub block: u64,
    /// MIDI channel, 0–15.
    pub channel: u8,
    /// MIDI key, 0–127.
    pub key: u8,
    /// MIDI velocity, 1–127.
    pub velocity: u8,
}

/// The plugin's output, sorted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SortedOutput {
    /// The player's note events that came through unchanged, at their own sample.
    pub passed: usize,
    /// The player's note events that are missing from the output.
    pub lost: Vec<Timed>,
    /// The notes that the plugin played itself, in order of their note-ons.
    pub notes: Vec<PlayedNote>,
    /// The plugin's note-ons without a note-off.
    pub hanging: Vec<Output>,
    /// The plugin's note-offs without a note-on, and its note-ons for a key that is already sounding.
    pub stray: Vec<Output>,
    /// Controller events that the plugin sent itself.
    pub controllers: Vec<Output>,
}

impl SortedOutput {
    /// Sorts `output`, everything that the plugin sent, given `input`, everything that was sent to it.
    pub fn of(input: &[Timed], output: &[Output]) -> Self {
        let mut sorted = Self::default();
        // Events passed through keep their sample, and outputs are sorted by time.
        let mut passed = vec![false; output.len()];
        for timed in input.iter().filter(|timed| timed.event.note().is_some()) {
            let first = output.partition_point(|output| output.at < timed.at);
            let here = output[first..].iter().take_while(|output| output.at == timed.at);
            let same = here.zip(first..).find(|(o, index)| !passed[*index] && o.event.is_same_note(&timed.event));
            match same {
                Some((_, index)) => {
                    passed[index] = true;
                    sorted.passed += 1;
                }
                None => sorted.lost.push(*timed),
            }
        }
        let mut open: Vec<Output> = Vec::new();
        let own = output.iter().zip(passed).filter(|(_, passed)| !passed).map(|(output, _)| *output);
        for output in own {
            match output.event.note() {
                Some((true, place)) => {
                    if open.iter().any(|o| place_of(o) == Some(place)) {
                        sorted.stray.push(output);
                    }
                    open.push(output);
                }
                Some((false, place)) => match open.iter().position(|o| place_of(o) == Some(place)) {
                    Some(index) => {
                        let on = open.remove(index);
                        sorted.notes.push(played_note(&on, output.at));
                    }
                    None => sorted.stray.push(output),
                },
                None if is_controller(&output.event) && !sent(input, &output) => sorted.controllers.push(output),
                None => {}
            }
        }
        sorted.hanging = open;
        sorted.notes.sort_by_key(|note| (note.on, note.key));
        sorted
    }

    /// The plugin's own notes in order of their note-ons, including hanging ones, which are given the note-off time
    /// `end`.
    pub fn with_hanging_until(&self, end: u64) -> Vec<PlayedNote> {
        let mut notes = self.notes.clone();
        notes.extend(self.hanging.iter().map(|on| played_note(on, end)));
        notes.sort_by_key(|note| (note.on, note.key));
        notes
    }

    /// The times during which the plugin itself held a pedal down, as notes with this key; a pedal still down lasts
    /// until `end`.
    pub fn pedal_until(&self, controller: u8, key: u8, end: u64) -> Vec<PlayedNote> {
        let mut down: Vec<PlayedNote> = Vec::new();
        let mut open: [Option<usize>; 16] = [None; 16];
        for output in &self.controllers {
            let Event::Midi([status, number, value]) = output.event else { continue };
            let (channel, at) = (status & 0x0f, output.at);
            let open = &mut open[usize::from(channel)];
            if number != controller {
                continue;
            }
            if value < 64 {
                if let Some(pressed) = open.take() {
                    down[pressed].off = at;
                }
            } else if open.is_none() {
                *open = Some(down.len());
                down.push(PlayedNote { on: at, off: end, block: output.block, channel, key, velocity: value });
            }
        }
        down
    }

    /// One line per fault; empty if every note-on has its note-off and every note of the player was passed through.
    pub fn faults(&self) -> Vec<String> {
        let line = |what: &str, at: u64, event: &Event| format!("{what} at sample {at}: {event:?}");
        let hanging = self.hanging.iter().map(|o| line("a note-on without its note-off", o.at, &o.event));
        let stray = self.stray.iter().map(|o| line("a note event without a counterpart", o.at, &o.event));
        let lost = self.lost.iter().map(|t| line("a note of the player that did not come through", t.at, &t.event));
        hanging.chain(stray).chain(lost).collect()
    }
}

fn is_controller(event: &Event) -> bool {
    matches!(event, Event::Midi([status, ..]) if status & 0xf0 == 0xb0)
}

/// Whether this event was passed through from the player.
fn sent(input: &[Timed], output: &Output) -> bool {
    let first = input.partition_point(|timed| timed.at < output.at);
    input[first..].iter().take_while(|timed| timed.at == output.at).any(|timed| timed.event == output.event)
}

fn played_note(on: &Output, off: u64) -> PlayedNote {
    let (channel, key) = place_of(on).unwrap_or_default();
    let velocity = match on.event {
        Event::NoteOn { velocity, .. } | Event::Named { kind: NoteEventKind::On(velocity), .. } => {
            (velocity * 127.0).round().clamp(1.0, 127.0) as u8
        }
        Event::Midi(data) => data[2],
        _ => 0,
    };
    PlayedNote { on: on.at, off, block: on.block, channel, key, velocity }
}

fn place_of(output: &Output) -> Option<(u8, u8)> {
    output.event.note().map(|(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(at: u64, event: Event) -> Output {
        Output { at, block: 0, event }
    }

    #[test]
    fn tells_the_players_notes_from_the_plugins_and_finds_what_hangs() {
        let input =
            [Timed { at: 0, event: Event::note_on(0, 60, 90) }, Timed { at: 50, event: Event::note_off(0, 60) }];
        let outputs = [
            output(0, Event::note_on(0, 60, 90)),
            // The plugin plays the key one sample after the player released it …
            output(50, Event::note_off(0, 60)),
            output(51, Event::note_on(0, 60, 90)),
            output(60, Event::note_on(0, 64, 80)),
            output(70, Event::note_off(0, 60)),
            // … sends no note-off for one note, and a note-off for another that it never played.
            output(80, Event::note_off(0, 67)),
        ];
        let sorted = SortedOutput::of(&input, &outputs);
        assert_eq!(sorted.passed, 2);
        assert_eq!(sorted.notes.len(), 1);
        assert_eq!((sorted.notes[0].on, sorted.notes[0].off), (51, 70));
        assert_eq!(sorted.hanging, [outputs[3]]);
        assert_eq!(sorted.stray, [outputs[5]]);
        assert_eq!(sorted.faults().len(), 2);
        assert_eq!(SortedOutput::of(&input, &outputs[2..]).lost, input);
    }
}
