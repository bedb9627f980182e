//! Random histories, packed at random, read from random positions, damaged at random.

mod claims;
mod damage;
mod history;
mod merging;
mod misnamed;
mod packing;
