//! Rules about what an agent may do, applied to what it really does.
//!
//! [`Line`] reads a shell command line: every simple command in it, also inside of substitutions, wrappers such as
//! `sudo` and scripts such as `sh -c …`. [`Law`] decides. What is not understood with certainty is asked; a deny is also
//! looked for in what was not understood.
//!
//! *Absent here:* agents, sessions, files. It is pure.

mod decide;
mod fence;
#[cfg(test)]
mod fuzz;
mod line;
mod naive;
mod pattern;
mod place;
mod programs;
mod redirect;
mod risky;
mod told;
mod variable;
mod walk;
mod word;
mod wrapper;

pub(super) use decide::{Decision, Law};
pub(crate) use fence::fence;
pub(super) use line::Line;
pub(super) use place::Place;
pub(super) use told::always;

#[cfg(test)]
mod tests;
