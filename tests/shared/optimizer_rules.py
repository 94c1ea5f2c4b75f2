"""Every update rule with settings of its own, for tests that go through all of them."""

from fasttrain import optimizers as o

RULES = [
    o.GradientDescent(0.05),
    o.Momentum(0.02, 0.8),
    o.Nesterov(0.02, 0.8),
    o.AdaGrad(0.1),
    o.AdaGrad(0.1, 1e-3, 0.5, epsilon_mode="inside"),
    o.RMSprop(0.01),
    o.RMSprop(0.01, epsilon=1e-3, epsilon_mode="inside"),
    o.RMSprop(0.01, momentum=0.7),
    o.RMSprop(0.01, centered=True),
    o.RMSprop(0.01, momentum=0.7, centered=True, epsilon=1e-3),
    o.AdaDelta(0.8, epsilon=1e-4),
    o.Adam(0.01),
    o.Adam(0.01, corrected_root=True, epsilon=1e-3),
    o.AdamW(0.01, weight_decay=0.1),
    o.Adam(0.01, amsgrad=True, beta_2=0.9),
    o.Adam(0.01, amsgrad=True, corrected_root=True, epsilon=1e-3),
    o.NAdam(0.01),
    o.NAdam(0.01, momentum_decay=0.004),
    o.Lion(0.01),
    o.AdaMax(0.01),
    o.LAMB(0.01),
    o.LAMB(0.02, 0.8, 0.9, 1e-3, weight_decay=0.1),
    o.FTRL(0.1),
    o.FTRL(0.1, -0.7, 0.5, l1=0.1, l2=0.01, l2_shrinkage=0.01, beta=0.5),
]
