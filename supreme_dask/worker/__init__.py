"""The worker's process: measure tasks (`measure`), say what there is (`capacity`), tell the scheduler (`plugin`)."""
