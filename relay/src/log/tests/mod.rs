//! The log without HTTP.

mod bounds;
mod conformance;
mod crash;
mod damage;
mod durable;
mod faults;
mod faulty;
mod fixture;
mod full;
mod history;
mod kill;
mod model;
mod reader;
mod recovery;
mod rules;
mod sealing;
mod snapshots;
mod succession;
