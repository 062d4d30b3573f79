//! Instructions with labels, which become distances.

use super::{Instruction, MOST_INSTRUCTIONS};

const LOAD_LONG: u16 = 0x20;
const LOAD_SHORT: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_LONG_INDEXED: u16 = 0x40;
const LOAD_SHORT_INDEXED: u16 = 0x48;
const LOAD_FRAME_LENGTH: u16 = 0x80;
const SUBTRACT_INDEX: u16 = 0x1c;
const LOAD_HEADER_LENGTH: u16 = 0xb1;
const AND: u16 = 0x54;
const GO_TO: u16 = 0x05;
const EQUAL: u16 = 0x15;
const MORE: u16 = 0x25;
const AT_LEAST: u16 = 0x35;
const ANY_BIT: u16 = 0x45;
/// Ends the program with the number of bytes to keep.
pub(super) const RETURN: u16 = 0x06;

/// A place that is jumped to, only ever forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

#[derive(Clone, Copy, Debug)]
enum Step {
    Plain(u16, u32),
    GoTo(Label),
    Test {
        code: u16,
        value: u32,
        yes: Label,
        no: Label,
    },
    Place(Label),
}

/// Collects the steps of a program.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    steps: Vec<Step>,
    labels: usize,
}

impl Assembler {
    pub(super) fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    /// Jumps to this label arrive at what comes next.
    pub(super) fn place(&mut self, label: Label) {
        self.steps.push(Step::Place(label));
    }

    pub(super) fn go_to(&mut self, label: Label) {
        self.steps.push(Step::GoTo(label));
    }

    pub(super) fn load_long(&mut self, offset: u32) {
        self.steps.push(Step::Plain(LOAD_LONG, offset));
    }

    pub(super) fn load_short(&mut self, offset: u32) {
        self.steps.push(Step::Plain(LOAD_SHORT, offset));
    }

    pub(super) fn load_byte(&mut self, offset: u32) {
        self.steps.push(Step::Plain(LOAD_BYTE, offset));
    }

    /// From the index register plus `offset`.
    pub(super) fn load_short_indexed(&mut self, offset: u32) {
        self.steps.push(Step::Plain(LOAD_SHORT_INDEXED, offset));
    }

    /// The same, four bytes.
    pub(super) fn load_long_indexed(&mut self, offset: u32) {
        self.steps.push(Step::Plain(LOAD_LONG_INDEXED, offset));
    }

    /// How long the frame is.
    pub(super) fn load_frame_length(&mut self) {
        self.steps.push(Step::Plain(LOAD_FRAME_LENGTH, 0));
    }

    /// Less the index register.
    pub(super) fn subtract_index(&mut self) {
        self.steps.push(Step::Plain(SUBTRACT_INDEX, 0));
    }

    /// The length of the IPv4 header at `offset` into the index register.
    pub(super) fn load_header_length(&mut self, offset: u32) {
        self.steps.push(Step::Plain(LOAD_HEADER_LENGTH, offset));
    }

    pub(super) fn and(&mut self, mask: u32) {
        self.steps.push(Step::Plain(AND, mask));
    }

    pub(super) fn equal(&mut self, value: u32, yes: Label, no: Label) {
        self.test(EQUAL, value, yes, no);
    }

    pub(super) fn more(&mut self, value: u32, yes: Label, no: Label) {
        self.test(MORE, value, yes, no);
    }

    pub(super) fn at_least(&mut self, value: u32, yes: Label, no: Label) {
        self.test(AT_LEAST, value, yes, no);
    }

    pub(super) fn any_bit(&mut self, bits: u32, yes: Label, no: Label) {
        self.test(ANY_BIT, bits, yes, no);
    }

    /// Goes to `label` where the value is equal, else goes on.
    pub(super) fn equal_or_next(&mut self, value: u32, label: Label) {
        let next = self.label();
        self.equal(value, label, next);
        self.place(next);
    }

    fn test(&mut self, code: u16, value: u32, yes: Label, no: Label) {
        self.steps.push(Step::Test { code, value, yes, no });
    }

    /// The program with its two ends, or `None` where it is too long.
    pub(super) fn finish(mut self, pass: Label, drop: Label, snap_length: u32) -> Option<Vec<Instruction>> {
        for (label, bytes) in [(pass, snap_length), (drop, 0)] {
            self.place(label);
            self.steps.push(Step::Plain(RETURN, bytes));
        }
        // A test reaches 255 instructions; where that is too short, two jumps of any length stand behind it. Each makes
        // the program longer, and so others too short, until none is.
        let mut is_long = vec![false; self.steps.len()];
        loop {
            let places = self.places(&is_long);
            let mut has_grown = false;
            let mut at = 0;
            for (step, is_long) in self.steps.iter().zip(&mut is_long) {
                if let Step::Test { yes, no, .. } = step
                    && !*is_long
                {
                    let far = |label: &Label| skipped(at, &places, *label) > usize::from(u8::MAX);
                    *is_long = far(yes) || far(no);
                    has_grown |= *is_long;
                }
                at += size(step, *is_long);
            }
            if at > MOST_INSTRUCTIONS {
                return None;
            }
            if !has_grown {
                return Some(self.write(&places, &is_long));
            }
        }
    }

    /// Where each label lies.
    fn places(&self, is_long: &[bool]) -> Vec<usize> {
        let mut places = vec![0; self.labels];
        let mut at = 0;
        for (step, is_long) in self.steps.iter().zip(is_long) {
            if let Step::Place(label) = step {
                places[label.0] = at;
            }
            at += size(step, *is_long);
        }
        places
    }

    fn write(&self, places: &[usize], is_long: &[bool]) -> Vec<Instruction> {
        let mut written = Vec::new();
        let plain = |code, value| Instruction {
            code,
            skip_true: 0,
            skip_false: 0,
            value,
        };
        let long = |distance: usize| u32::try_from(distance).unwrap_or(u32::MAX);
        let short = |distance: usize| u8::try_from(distance).unwrap_or(u8::MAX);
        for (step, is_long) in self.steps.iter().zip(is_long) {
            let at = written.len();
            match *step {
                Step::Plain(code, value) => written.push(plain(code, value)),
                Step::GoTo(label) => written.push(plain(GO_TO, long(skipped(at, places, label)))),
                Step::Place(_) => {}
                Step::Test { code, value, yes, no } => {
                    let (skip_true, skip_false) = if *is_long {
                        (0, 1)
                    } else {
                        (short(skipped(at, places, yes)), short(skipped(at, places, no)))
                    };
                    written.push(Instruction {
                        code,
                        skip_true,
                        skip_false,
                        value,
                    });
                    if *is_long {
                        written.push(plain(GO_TO, long(skipped(at + 1, places, yes))));
                        written.push(plain(GO_TO, long(skipped(at + 2, places, no))));
                    }
                }
            }
        }
        written
    }
}

const fn size(step: &Step, is_long: bool) -> usize {
    match step {
        Step::Place(_) => 0,
        Step::Test { .. } if is_long => 3,
        _ => 1,
    }
}

/// Instructions between the one at `at` and a label behind it.
fn skipped(at: usize, places: &[usize], label: Label) -> usize {
    places[label.0].saturating_sub(at + 1)
}
