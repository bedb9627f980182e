//! Against files in temporary folders.

mod apply;
mod crash;
mod full;
mod given;
mod load;
mod locks;
