# pragma version 0.4.3
# pragma evm-version paris
"""
@title zkshare registry
@license Apache-2.0
@notice Commitments to enterprises' records, heads of the submission log, lists of releases, and on-chain verification of
        filings.
@dev Every refusal reverts with a reason that names the check: not_permitted, malformed, out_of_range, not_growing,
     already_registered, unknown_dataset, not_anchored, unknown_verifying_key, not_on_curve, point_at_infinity,
     wrong_schema, nullifier_spent, proof_invalid, precompile_missing. Nothing here holds or moves currency.
     Proofs are Groth16 over BN254 (about 100-bit security), checked with the precompiled contracts of EIP-196 and
     EIP-197; a proof convinces only as far as the setup that made its verifying key is trusted.
"""

flag Role:
    ADMIN
    OPERATOR
    DEPARTMENT
    BANK

struct Dataset:
    department: address
    schema_id: uint256

struct Anchor:
    epoch: uint256
    root: uint256
    size: uint256
    account: address
    time: uint256

struct Head:
    size: uint256
    root: bytes32
    account: address
    time: uint256

struct Release:
    request: bytes32
    head_size: uint256
    time: uint256

struct Scorecard:
    account: address
    time: uint256

struct VerifyingKey:
    alpha: uint256[2]
    beta: uint256[4]
    gamma: uint256[4]
    delta: uint256[4]
    ic: uint256[2][7]

event RoleGranted:
    account: indexed(address)
    role: Role

event RoleRevoked:
    account: indexed(address)
    role: Role

event DatasetOpened:
    department: indexed(address)
    schema_id: indexed(uint256)
    dataset: String[64]

event DatasetHanded:
    department: indexed(address)
    dataset: String[64]

event Anchored:
    root: indexed(uint256)
    account: indexed(address)
    epoch: uint256
    size: uint256
    dataset: String[64]

event HeadAnchored:
    size: indexed(uint256)
    account: indexed(address)
    root: bytes32

event ReleaseEntered:
    request: indexed(bytes32)
    account: indexed(address)
    number: uint256
    head_size: uint256
    dataset: String[64]

event ScorecardRegistered:
    model_hash: indexed(uint256)
    account: indexed(address)

event Published:
    id: indexed(bytes32)
    digest: indexed(bytes32)
    kind: String[32]

event VerifyingKeyRegistered:
    schema_id: indexed(uint256)
    digest: bytes32

event FilingAccepted:
    nullifier: indexed(bytes32)
    root: indexed(uint256)
    account: indexed(address)
    commitments: uint256

# BN254: modulus of the coordinates, and of the scalars (the public inputs).
P: constant(uint256) = 21888242871839275222246405745257275088696311157297823662689037894645226208583
R: constant(uint256) = 21888242871839275222246405745257275088548364400416034343698204186575808495617

# Precompiled contracts of EIP-196 and EIP-197.
ECADD: constant(address) = 0x0000000000000000000000000000000000000006
ECMUL: constant(address) = 0x0000000000000000000000000000000000000007
ECPAIRING: constant(address) = 0x0000000000000000000000000000000000000008

# Public inputs of a filing: root, schema_id, subject, period, attributes, digest of the commitments.
FILING_INPUTS: constant(uint256) = 6
# Longest list that one call returns.
PAGE: constant(uint256) = 64
KEY_DOMAIN: constant(Bytes[46]) = b"zkshare/verifying-key\nzkshare verifying key 1\n"

roles: public(HashMap[address, Role])
dataset_names: DynArray[String[64], 4294967296]
datasets: HashMap[String[64], Dataset]
anchor_lists: HashMap[String[64], DynArray[Anchor, 4294967296]]
anchored_roots: HashMap[String[64], HashMap[uint256, bool]]
head_list: DynArray[Head, 4294967296]
head_places: HashMap[uint256, uint256]
release_lists: HashMap[String[64], DynArray[Release, 4294967296]]
release_places: HashMap[String[64], HashMap[bytes32, uint256]]
scorecards: HashMap[uint256, Scorecard]
digests: HashMap[String[32], HashMap[bytes32, bytes32]]
verifying_keys: HashMap[uint256, VerifyingKey]
key_digests: HashMap[uint256, bytes32]
spent: HashMap[bytes32, bool]


@deploy
def __init__():
    """
    @notice The account that deploys is the first administrator.
    """
    self.roles[msg.sender] = Role.ADMIN
    log RoleGranted(account=msg.sender, role=Role.ADMIN)


@internal
@view
def _only(role: Role):
    assert role in self.roles[msg.sender], "not_permitted"


@external
def grant(account: address, role: Role):
    """
    @notice Give an account a role, besides those it has. Administrators only.
    """
    self._only(Role.ADMIN)
    assert account != empty(address) and role != empty(Role), "malformed"
    self.roles[account] |= role
    log RoleGranted(account=account, role=role)


@external
def revoke(account: address, role: Role):
    """
    @notice Take a role from an account. Administrators only, and none can take its own administration, so that one
            administrator always remains. What the account did while it had the role stays.
    """
    self._only(Role.ADMIN)
    assert not (account == msg.sender and Role.ADMIN in role), "not_permitted"
    self.roles[account] &= ~role
    log RoleRevoked(account=account, role=role)


@external
def open_dataset(dataset: String[64], department: address, schema_id: uint256):
    """
    @notice Say which department answers for a dataset and, once, which schema all its records have. Administrators only.
    """
    self._only(Role.ADMIN)
    assert len(dataset) != 0 and Role.DEPARTMENT in self.roles[department], "malformed"
    assert schema_id < R, "out_of_range"
    assert self.datasets[dataset].department == empty(address), "already_registered"
    self.datasets[dataset] = Dataset(department=department, schema_id=schema_id)
    self.dataset_names.append(dataset)
    log DatasetOpened(department=department, schema_id=schema_id, dataset=dataset)


@external
def hand_dataset(dataset: String[64], department: address):
    """
    @notice Say which department's account answers for a dataset from now on, e.g. in place of one whose key was lost.
            Roots that were anchored before stay valid. Administrators only.
    """
    self._only(Role.ADMIN)
    assert self.datasets[dataset].department != empty(address), "unknown_dataset"
    assert Role.DEPARTMENT in self.roles[department], "malformed"
    self.datasets[dataset].department = department
    log DatasetHanded(department=department, dataset=dataset)


@external
def anchor(dataset: String[64], epoch: uint256, root: uint256, size: uint256):
    """
    @notice Anchor the root of a dataset's tree of records. Only the dataset's department, while it has that role.
            Earlier roots stay valid.
    @param epoch Grows, or stays while the tree grows.
    @param root Poseidon root of the tree after `size` records.
    """
    assert self.datasets[dataset].department != empty(address), "unknown_dataset"
    self._only(Role.DEPARTMENT)
    assert msg.sender == self.datasets[dataset].department, "not_permitted"
    assert 0 < root and root < R and 0 < size and size <= 2 ** 32, "out_of_range"
    count: uint256 = len(self.anchor_lists[dataset])
    if count != 0:
        last: Anchor = self.anchor_lists[dataset][count - 1]
        assert epoch > last.epoch or (epoch == last.epoch and size > last.size), "not_growing"
    self.anchor_lists[dataset].append(
        Anchor(epoch=epoch, root=root, size=size, account=msg.sender, time=block.timestamp)
    )
    self.anchored_roots[dataset][root] = True
    log Anchored(root=root, account=msg.sender, epoch=epoch, size=size, dataset=dataset)


@external
def anchor_head(size: uint256, root: bytes32):
    """
    @notice Anchor a head of the submission log (RFC 6962). Operators only; sizes grow.
    """
    self._only(Role.OPERATOR)
    assert 0 < size and size < 2 ** 64, "out_of_range"
    count: uint256 = len(self.head_list)
    if count != 0:
        assert size > self.head_list[count - 1].size, "not_growing"
    self.head_list.append(Head(size=size, root=root, account=msg.sender, time=block.timestamp))
    self.head_places[size] = count + 1
    log HeadAnchored(size=size, account=msg.sender, root=root)


@external
def enter_release(dataset: String[64], request: bytes32, head_size: uint256):
    """
    @notice Enter a release in its dataset's list, once, before anything of it is decrypted: trustees decide on the
            entries in this order, and on nothing else. Operators only.
    @param request Digest of the query that its querier signed.
    @param head_size Size of the log's head at which the query is evaluated; not beyond the newest anchored one.
    """
    self._only(Role.OPERATOR)
    assert self.datasets[dataset].department != empty(address), "unknown_dataset"
    assert request != empty(bytes32) and head_size != 0, "malformed"
    heads: uint256 = len(self.head_list)
    assert heads != 0 and head_size <= self.head_list[heads - 1].size, "not_anchored"
    assert self.release_places[dataset][request] == 0, "already_registered"
    count: uint256 = len(self.release_lists[dataset])
    self.release_lists[dataset].append(Release(request=request, head_size=head_size, time=block.timestamp))
    self.release_places[dataset][request] = count + 1
    log ReleaseEntered(request=request, account=msg.sender, number=count, head_size=head_size, dataset=dataset)


@external
def register_scorecard(model_hash: uint256):
    """
    @notice Register a public scorecard by its Poseidon hash, once. Banks only.
    """
    self._only(Role.BANK)
    assert 0 < model_hash and model_hash < R, "out_of_range"
    assert self.scorecards[model_hash].account == empty(address), "already_registered"
    self.scorecards[model_hash] = Scorecard(account=msg.sender, time=block.timestamp)
    log ScorecardRegistered(model_hash=model_hash, account=msg.sender)


@external
def publish(kind: String[32], id: bytes32, digest: bytes32):
    """
    @notice Publish the digest of a document that all parties must see alike (a schema, a public key ...), once for each
            kind and identifier. Administrators only.
    """
    self._only(Role.ADMIN)
    assert len(kind) != 0 and digest != empty(bytes32), "malformed"
    assert self.digests[kind][id] == empty(bytes32), "already_registered"
    self.digests[kind][id] = digest
    log Published(id=id, digest=digest, kind=kind)


@external
def register_verifying_key(schema_id: uint256, key: VerifyingKey):
    """
    @notice Register the Groth16 key that verifies filings of a schema, once. Administrators only.
    @dev The digest kept with it is made here, SHA-256 of KEY_DOMAIN and the points in order, so it cannot be another's;
         it is the one that zkcore gives the key.
    @param key Points as EIP-196 and EIP-197 encode them (G2: the imaginary part of a coordinate first).
    """
    self._only(Role.ADMIN)
    assert 0 < schema_id and schema_id < R, "out_of_range"
    assert self.key_digests[schema_id] == empty(bytes32), "already_registered"
    self._check_g1(key.alpha)
    for point: uint256[4] in [key.beta, key.gamma, key.delta]:
        self._check_g2(point)
        # With infinity in front EIP-197 makes the pairing trivial, but refuses a point outside the prime subgroup.
        self._pairing(concat(empty(bytes32), empty(bytes32), abi_encode(point)))
    for point: uint256[2] in key.ic:
        # Infinity is refused here too: it would leave an input unbound.
        self._check_g1(point)
    digest: bytes32 = sha256(concat(KEY_DOMAIN, abi_encode(key)))
    self.verifying_keys[schema_id] = key
    self.key_digests[schema_id] = digest
    log VerifyingKeyRegistered(schema_id=schema_id, digest=digest)


@external
def submit_filing(dataset: String[64], inputs: uint256[6], proof: uint256[8]):
    """
    @notice Accept a filing on chain: its proof holds, its root was anchored for the dataset by the dataset's
            department, its schema is the dataset's, and no filing of this schema, subject and period was accepted
            before. Operators only.
    @param inputs root, schema_id, subject, period, attributes, digest of the commitments.
    @param proof A.x A.y B.x1 B.x0 B.y1 B.y0 C.x C.y
    """
    self._only(Role.OPERATOR)
    assert self.datasets[dataset].department != empty(address), "unknown_dataset"
    assert inputs[1] == self.datasets[dataset].schema_id, "wrong_schema"
    assert self.anchored_roots[dataset][inputs[0]], "not_anchored"
    nullifier: bytes32 = self._nullifier(inputs[1], inputs[2], inputs[3])
    assert not self.spent[nullifier], "nullifier_spent"
    assert self._verify(inputs, proof), "proof_invalid"
    self.spent[nullifier] = True
    log FilingAccepted(nullifier=nullifier, root=inputs[0], account=msg.sender, commitments=inputs[5])


@external
@view
def verify_filing(inputs: uint256[6], proof: uint256[8]) -> bool:
    """
    @notice Whether a filing's proof holds for its public inputs, under the key of the schema that they name. Reverts
            where the proof or an input is malformed.
    """
    return self._verify(inputs, proof)


@external
@view
def dataset(name: String[64]) -> Dataset:
    """
    @notice Department and schema of a dataset; zeros for one that was never opened.
    """
    return self.datasets[name]


@external
@view
def datasets_from(start: uint256) -> DynArray[String[64], PAGE]:
    """
    @notice Names of datasets in the order of their opening, from number `start`, at most PAGE of them.
    """
    page: DynArray[String[64], PAGE] = []
    for i: uint256 in range(PAGE):
        if start + i >= len(self.dataset_names):
            break
        page.append(self.dataset_names[start + i])
    return page


@external
@view
def is_root(dataset: String[64], root: uint256) -> bool:
    """
    @notice Whether a department that answered for the dataset ever anchored this root for it.
    """
    return self.anchored_roots[dataset][root]


@external
@view
def anchors_from(dataset: String[64], start: uint256) -> DynArray[Anchor, PAGE]:
    """
    @notice Anchors of a dataset, oldest first, from number `start`, at most PAGE of them.
    """
    page: DynArray[Anchor, PAGE] = []
    for i: uint256 in range(PAGE):
        if start + i >= len(self.anchor_lists[dataset]):
            break
        page.append(self.anchor_lists[dataset][start + i])
    return page


@external
@view
def head(size: uint256) -> Head:
    """
    @notice The anchored head of this size; its size is 0 if there is none.
    """
    place: uint256 = self.head_places[size]
    return empty(Head) if place == 0 else self.head_list[place - 1]


@external
@view
def latest_head() -> Head:
    """
    @notice The newest anchored head; its size is 0 before the first.
    """
    count: uint256 = len(self.head_list)
    return empty(Head) if count == 0 else self.head_list[count - 1]


@external
@view
def heads_from(start: uint256) -> DynArray[Head, PAGE]:
    """
    @notice Anchored heads, oldest first, from number `start`, at most PAGE of them.
    """
    page: DynArray[Head, PAGE] = []
    for i: uint256 in range(PAGE):
        if start + i >= len(self.head_list):
            break
        page.append(self.head_list[start + i])
    return page


@external
@view
def release(dataset: String[64], request: bytes32) -> (uint256, Release):
    """
    @notice Place of a request in a dataset's list of releases, counted from 1, and its entry; zeros if it was not
            entered.
    """
    place: uint256 = self.release_places[dataset][request]
    return place, empty(Release) if place == 0 else self.release_lists[dataset][place - 1]


@external
@view
def releases_from(dataset: String[64], start: uint256) -> DynArray[Release, PAGE]:
    """
    @notice Releases entered for a dataset, oldest first, from number `start`, at most PAGE of them.
    """
    page: DynArray[Release, PAGE] = []
    for i: uint256 in range(PAGE):
        if start + i >= len(self.release_lists[dataset]):
            break
        page.append(self.release_lists[dataset][start + i])
    return page


@external
@view
def scorecard(model_hash: uint256) -> Scorecard:
    """
    @notice Who registered a scorecard, and when; the account is zero if nobody did.
    """
    return self.scorecards[model_hash]


@external
@view
def published(kind: String[32], id: bytes32) -> bytes32:
    """
    @notice The digest published under a kind and identifier; zero if none was.
    """
    return self.digests[kind][id]


@external
@view
def verifying_key_digest(schema_id: uint256) -> bytes32:
    """
    @notice Digest of the key that verifies filings of a schema; zero if none is registered.
    """
    return self.key_digests[schema_id]


@external
@view
def is_spent(schema_id: uint256, subject: uint256, period: uint256) -> bool:
    """
    @notice Whether a filing of this schema, subject and period was accepted.
    """
    return self.spent[self._nullifier(schema_id, subject, period)]


@internal
@pure
def _nullifier(schema_id: uint256, subject: uint256, period: uint256) -> bytes32:
    return keccak256(abi_encode(schema_id, subject, period))


@internal
@view
def _verify(inputs: uint256[6], proof: uint256[8]) -> bool:
    """
    @dev e(-A, B) e(alpha, beta) e(V, gamma) e(C, delta) = 1 with V = ic[0] + sum of inputs[i] ic[i+1] (Groth 2016).
    """
    schema_id: uint256 = inputs[1]
    assert self.key_digests[schema_id] != empty(bytes32), "unknown_verifying_key"
    key: VerifyingKey = self.verifying_keys[schema_id]
    self._check_g1([proof[0], proof[1]])
    self._check_g2([proof[2], proof[3], proof[4], proof[5]])
    self._check_g1([proof[6], proof[7]])
    v: uint256[2] = key.ic[0]
    for i: uint256 in range(FILING_INPUTS):
        assert inputs[i] < R, "out_of_range"
        v = self._add(v, self._multiply(key.ic[i + 1], inputs[i]))
    return self._pairing(
        concat(
            abi_encode(proof[0], P - proof[1], proof[2], proof[3], proof[4], proof[5]),
            abi_encode(key.alpha, key.beta),
            abi_encode(v, key.gamma),
            abi_encode(proof[6], proof[7], key.delta),
        )
    )


@internal
@pure
def _check_g1(point: uint256[2]):
    """
    @dev A point other than infinity on y^2 = x^3 + 3. G1 has no cofactor.
    """
    x: uint256 = point[0]
    y: uint256 = point[1]
    assert x < P and y < P, "out_of_range"
    assert x | y != 0, "point_at_infinity"
    assert uint256_mulmod(y, y, P) == uint256_addmod(uint256_mulmod(uint256_mulmod(x, x, P), x, P), 3, P), "not_on_curve"


@internal
@pure
def _check_g2(point: uint256[4]):
    """
    @dev Coordinates in range and not infinity; the pairing precompile checks curve and subgroup.
    """
    for coordinate: uint256 in point:
        assert coordinate < P, "out_of_range"
    assert point[0] | point[1] | point[2] | point[3] != 0, "point_at_infinity"


@internal
@view
def _add(a: uint256[2], b: uint256[2]) -> uint256[2]:
    success: bool = False
    answer: Bytes[64] = b""
    success, answer = raw_call(
        ECADD, abi_encode(a, b), max_outsize=64, is_static_call=True, revert_on_failure=False
    )
    assert success and len(answer) == 64, "precompile_missing"
    return abi_decode(answer, uint256[2])


@internal
@view
def _multiply(a: uint256[2], factor: uint256) -> uint256[2]:
    success: bool = False
    answer: Bytes[64] = b""
    success, answer = raw_call(
        ECMUL, abi_encode(a, factor), max_outsize=64, is_static_call=True, revert_on_failure=False
    )
    assert success and len(answer) == 64, "precompile_missing"
    return abi_decode(answer, uint256[2])


@internal
@view
def _pairing(pairs: Bytes[768]) -> bool:
    """
    @dev Whether the product of the pairings is 1. Reverts where a point is off its curve or outside its subgroup.
    """
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(ECPAIRING, pairs, max_outsize=32, is_static_call=True, revert_on_failure=False)
    assert success, "not_on_curve"
    # Where no precompiled contract stands, a call succeeds and answers nothing.
    assert len(answer) == 32, "precompile_missing"
    return abi_decode(answer, uint256) == 1
