"""What happens without being asked: rollouts move on, events reach subscribers, finished rollouts are tidied up."""
