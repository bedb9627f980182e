//! The log without HTTP.

mod conformance;
mod crash;
mod damage;
mod faulty;
mod fixture;
mod full;
mod kill;
mod model;
mod reader;
mod rules;
mod sealing;
