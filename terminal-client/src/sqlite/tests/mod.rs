//! Against files in temporary folders.

mod altering;
mod apply;
mod child;
mod crash;
mod full;
mod given;
mod load;
mod locks;
mod memory;
mod parts;
mod position;
mod reload;
