"""What `Synapses` say: pathways, equations, couplings and readouts."""
