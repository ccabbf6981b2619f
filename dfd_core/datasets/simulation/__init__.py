"""The simulated dataset: contents, a camera, up-samplers that leave traces, generators made of them, the making."""
