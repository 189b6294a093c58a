"""What must hold: determinism, shapes, training rules, loss curves, mode coverage; and GANs broken on purpose."""
