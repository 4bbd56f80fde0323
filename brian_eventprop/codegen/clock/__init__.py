"""The clock solver's generated code: what the equations of each neuron and synapse model say."""
