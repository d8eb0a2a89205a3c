"""The protocol of docs/consistency.md as a model that runs: one key, its replicas, those who write and read it, and all
that may go wrong between them. Seeds choose what happens; a checker judges what clients saw."""
