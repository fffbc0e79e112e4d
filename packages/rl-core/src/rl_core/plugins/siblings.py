"""Components of the four sibling packages, so that an error can name the package that is missing.

Used only for messages: which components are installed is asked of the plugins. `test_siblings.py` compares it with those installed.
"""

from __future__ import annotations

_COMPONENTS = {
    "rl-algos": """
        a2c a3c ALE alphazero ars bandit-bernoulli bandit-distribution bandit-drifting bandit-epsilon-greedy bandit-gaussian
        bandit-gradient bandit-optimistic bandit-thompson bandit-ucb bcq behaviour-cloning binned blackjack bootstrapped-dqn
        cartpole-expert CartPole-mass cartpole-mixed cartpole-random cem cma-es connect-four contextual-bandit count-dqn cpo
        cql curiosity curiosity-dqn dagger data-centre ddpg deep-sea deterministic-model double-dqn double-q-learning dqn
        dropout-model dueling-dqn dyna-q dyna-q-plus epidemic es exp4 expected-sarsa four-rooms gamblers-problem garnet
        gp-mpc grid-lava grid-robot inventory iql job-scheduling lin-thompson linear-quadratic linucb lqr maml maze mbpo
        mc-control mc-exploring-starts mc-off-policy mc-off-policy-prediction mc-prediction mc-q-learning mcts mcts-rollouts
        mdp mdp-distribution modified-policy-iteration mpc-cem mpc-cma mpc-gradient mpc-mppi mpc-random muzero mve n-step-dqn
        n-step-sarsa navigation-2d noisy-dqn npg option-critic pendulum-expert pendulum-limited Pendulum-mass pendulum-mixed
        pendulum-random pendulum-sparse per-dqn pets pid point-hazards point-robot policy-evaluation policy-iteration
        pong-pixels ppo ppo-lagrangian prioritised-sweeping q-learning rainbow-lite random random-walk reinforce
        reinforce-baseline reinforce-crossentropy rl2 rnd-dqn sac sarsa sarsa-lambda simple-mbrl smart-grid smdp-q-learning
        snail sparse-point-robot steve student-mrp td-lambda td0 td3 td3-bc thumbnails tic-tac-toe trpo value-iteration vpg
        windy-gridworld
    """,
    "dl-nets": """
        adding-problem anomalies autoencoder bidirectional-gru bidirectional-lstm bidirectional-rnn breast-cancer char-lm cnn
        convolutional-autoencoder copy-memory csv dbn deep-rnn denoising-autoencoder diabetes digits dnn gan generate
        grid-of-gaussians gru hugging-face images leaky-mlp low-rank-ratings lstm matrix-factorisation mlp mnist
        neural-factorisation npz perceptron ratings rbf-network rbm reconstruct reverse ring-of-gaussians rnn series simple-cnn sine
        softmax-regression spiking spirals supervised text-classification transformer transformer-decoder transformer-seq2seq
        two-moons variational-autoencoder wine xor zero-shot
    """,
    "nlp-embeddings": """
        analogies bag-of-words bm25 cbow central-sentences cipher classification contextual copy-letters corpus crf-tagger dates
        dependency-parser dialogue entities fasttext glove grammar-tags hmm-tagger ibm-model language-model lda lead lexicon lexrank
        linear-classifier lsa markov-text naive-bayes nb-svm ngram-lm nmf parsing perceptron-tagger ppmi retrieval-bot sentiment
        similarity skip-gram summaries tagging template-dialogue template-entities template-opinions text-classifier textrank tf-idf
        topic-bars topics toy-trees translation treasure-island treasure-island-parts
    """,
    "cv-models": """
        attention-unet cbam-resnet coco deeplabv3 detr faster-rcnn fcn instances lenet mask-rcnn masks resnet se-resnet
        shapes-classification shapes-detection shapes-instances shapes-segmentation ssd torchvision unet vit voc yolo yolo-small
    """,
}

SIBLINGS: dict[str, str] = {name: package for package, names in _COMPONENTS.items() for name in names.split()}
"""Name of a component, or of a scheme of tasks, to its package."""
