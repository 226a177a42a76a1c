"""What happens: the agents of a worker and the pure core they drive. Imports schemas, never api."""
