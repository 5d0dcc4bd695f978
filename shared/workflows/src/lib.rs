//! What Oubli does: the steps of each use case over domain and cloud.
