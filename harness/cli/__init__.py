"""The commands of `gan-harness`, one file for each thing that people come for."""
