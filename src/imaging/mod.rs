//! Virtual detectors, centre of mass and integrated phase contrast.
