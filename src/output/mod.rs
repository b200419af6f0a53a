//! Result files, TIFF and PNG pictures.
