"""Components of the four sibling packages, so that an error can name the package that is missing.

Used only for messages: which components are installed is asked of the plugins. `test_siblings.py` compares it with those installed.
"""

from __future__ import annotations

_COMPONENTS = {
    "rl-algos": """
        a2c a3c Acrobot-v1 adaptive-trial ALE alphazero ars bandit-bernoulli bandit-discounted-ucb bandit-distribution
        bandit-drifting bandit-epsilon-greedy bandit-gaussian bandit-gradient bandit-kl-ucb bandit-monitored-ucb
        bandit-optimistic bandit-switching bandit-thompson bandit-ucb bcq behaviour-cloning binned blackjack
        Blackjack-v1 bootstrapped-dqn cartpole-expert CartPole-mass cartpole-mixed cartpole-pixels cartpole-random
        CartPole-v1 CartPoleContinuous-v1 cem CliffWalking-v1 CliffWalkingSlippery-v1 climbing-game cma-es connect-four
        contextual-bandit count-dqn cpo cql curiosity curiosity-dqn dagger data-centre ddpg deep-sea deterministic-model disagreement-dqn
        disturbed double-dqn double-q-learning dqn dreamer dropout-model dueling-dqn dyna-q dyna-q-plus epidemic es
        execution exp4 expected-sarsa feudal fictitious-play four-rooms FrozenLake-v1 FrozenLake-v1-firm
        FrozenLake8x8-v1 FrozenLake8x8-v1-firm gamblers-problem garnet gp-mpc grid-lava grid-robot hiro hysteretic-q
        independent-q inventory iql job-scheduling lane-keeping league lin-thompson linear-quadratic linucb lqr
        LunarLander-v3 maml mappo masked-CartPole-v1 matrix-game maze mbpo mc-control mc-exploring-starts mc-off-policy
        mc-off-policy-prediction mc-prediction mc-q-learning mcts mcts-rollouts mdp mdp-distribution mier
        modified-policy-iteration MountainCar-v0 MountainCarContinuous-v0 mpc-cem mpc-cma mpc-gradient mpc-mppi
        mpc-random muzero mve n-step-dqn n-step-sarsa navigation-2d noisy-dqn npg option-critic pearl penalty-game
        pendulum-damping pendulum-expert pendulum-limited Pendulum-mass pendulum-mixed pendulum-pixels pendulum-random
        pendulum-sparse Pendulum-v1 per-dqn pets pettingzoo pid point-hazards point-robot point-u-maze policy-evaluation
        policy-iteration pong-pixels portfolio ppo ppo-lagrangian preference-reward prioritised-sweeping pursuit
        q-learning qmix qr-dqn rainbow-lite random random-walk recommender regret-matching reinforce reinforce-baseline
        reinforce-crossentropy rl2 rnd-dqn sac sarsa sarsa-lambda simple-mbrl smart-grid smdp-q-learning snail
        sparse-point-robot steve student-mrp Taxi-v4 td-lambda td0 td3 td3-bc thumbnails tic-tac-toe traffic-signal
        treatment trpo two-roads two-step-game value-iteration varied-cartpole varied-pendulum vpg windy-gridworld
        world-model
    """,
    "dl-nets": """
        adding-problem anomalies audio autoencoder bidirectional-gru bidirectional-lstm bidirectional-rnn bilstm-crf
        bilstm-tagger breast-cancer char-lm cnn cnn-text composed continual convolutional-autoencoder copy-memory
        copy-summaries coral csv ctc-recogniser dann dbn deep-rnn denoising-autoencoder diabetes digit-pairs digits dnn
        dpo gan generate graph grid-of-gaussians gru hugging-face images leaky-mlp low-rank-ratings lstm
        matrix-factorisation mlp mnist neural-factorisation npz opinions perceptron permuted phrase-order
        pointer-generator preferences ratings rbf-network rbm reconstruct reverse ring-of-gaussians rlhf rnn seq2seq
        series shifted simple-cnn sine softmax-regression spiking spirals spoken-tones supervised text-classification
        transformer transformer-decoder transformer-seq2seq two-moons variational-autoencoder wine xor zero-shot
    """,
    "nlp-embeddings": """
        analogies association bag-of-words bm25 cbow central-sentences chat cipher classification contextual
        copy-letters corpus crf-tagger dates dependency-parser dialogue entities fasttext glove grammar-tags hmm-tagger
        ibm-model language-model lda lead lexicon lexrank linear-classifier lsa markov-text naive-bayes nb-svm ngram-lm
        nmf parsing passage-questions perceptron-tagger ppmi procrustes questions retrieval-bot sentiment similarity
        skip-gram span-reader summaries tagging template-chat template-dialogue template-entities template-opinions
        text-classifier textrank tf-idf topic-bars topics toy-trees translation treasure-island treasure-island-parts
        two-senses word-pairs
    """,
    "cv-models": """
        actions attention-unet blip captions cbam-resnet clip clip-classifier coco conditional-gan cyclegan dcgan ddpm
        deeplabv3 detr espcn faster-rcnn fcn generated ink-on-paper instances lenet mask-rcnn masks mean-pool-captioner
        moving-shapes moving-shapes-actions plain-shapes resnet s2vt se-resnet shapes-captions shapes-classification
        shapes-detection shapes-from-captions shapes-from-noise shapes-instances shapes-segmentation show-and-tell
        show-attend-and-tell srcnn srgan srresnet ssd stylegan super-resolution super-resolution-leaves surface-defects
        temporal-attention-captioner torchvision transformer-captioner unet videos vit voc wgan-gp yolo yolo-small
    """,
}

SIBLINGS: dict[str, str] = {name: package for package, names in _COMPONENTS.items() for name in names.split()}
"""Name of a component, or of a scheme of tasks, to its package."""
