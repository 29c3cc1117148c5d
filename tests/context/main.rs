//! Contexts across every border: one module per kind of border, whole trees as pictures.

mod propagation;
