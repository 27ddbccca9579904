#include "machine/storage/virtio_block.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "machine/virtio/segments.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint32_t kMaxSegments = 126;

constexpr std::uint64_t kFeatureSegments = 1 << 2, kFeatureReadOnly = 1 << 5,
                        kFeatureBlockSize = 1 << 6, kFeatureFlush = 1 << 9;
constexpr std::uint32_t kRead = 0, kWrite = 1, kFlush = 4, kIdentify = 8;
constexpr std::uint8_t kOk = 0, kIoError = 1, kUnsupported = 2;

struct Header {
  std::uint32_t type = 0, reserved = 0;
  std::uint64_t sector = 0;
};

// How many of them, from the first on, so many bytes are.
std::size_t whole_pieces(std::span<const VirtioSegment> pieces, std::uint64_t bytes) {
  std::size_t count = 0;
  for (; count < pieces.size() && pieces[count].size <= bytes; ++count)
    bytes -= pieces[count].size;
  return count;
}

}  // namespace

VirtioBlock::VirtioBlock(std::shared_ptr<BlockBackend> backend, DmaMemory memory, unsigned number)
    : backend_(std::move(backend)), memory_(memory), number_(number) {
  const std::uint64_t sectors = backend_->size() / kSector;
  const std::uint32_t block = kSector;
  std::memcpy(configuration_.data(), &sectors, sizeof sectors);
  std::memcpy(configuration_.data() + 12, &kMaxSegments, sizeof kMaxSegments);
  std::memcpy(configuration_.data() + 20, &block, sizeof block);
}

std::uint64_t VirtioBlock::features() const {
  return kFeatureSegments | kFeatureBlockSize | kFeatureFlush |
         (backend_->read_only() ? kFeatureReadOnly : 0);
}

// A request is a 16-byte header, the data, and one byte of status at the very end. The driver may
// cut these into segments as it likes (2.7.4), so that the header is gathered.
bool VirtioBlock::begin(unsigned, const VirtioChain& chain) {
  Header header;
  VirtioChain rest = chain;
  if (total_size(rest.readable) < sizeof header ||
      !read_segments(memory_, rest.readable, std::as_writable_bytes(std::span(&header, 1))))
    return false;
  drop_first(rest.readable, sizeof header);
  if (rest.writable.empty() || rest.writable.back().size == 0) return false;
  VirtioSegment& last = rest.writable.back();
  --last.size;
  const Gpa status_address = last.address + last.size;
  request_ = Request{};
  is_begun_ = false;
  request_.type = header.type;
  request_.sector = header.sector;
  request_.status_address = status_address.value;
  data_ = header.type == kWrite ? std::move(rest.readable) : std::move(rest.writable);
  drop_empty(data_);
  return true;
}

void VirtioBlock::visit_request(StateVisitor& visitor) {
  is_begun_ = false;
  visitor.field(request_);
  visitor.container(data_);
  visitor.expect(data_.size() <= VirtioQueue::kMaxSegments && request_.segment <= data_.size());
  visitor.expect(request_.within == 0 || (request_.segment < data_.size() &&
                                          request_.within < data_[request_.segment].size));
}

VirtioDevice::Progress VirtioBlock::go_on(Allowance& allowance) {
  Step step = Step::Unsupported;
  switch (request_.type) {
    case kRead:
    case kWrite:
      step = backend_->is_remote() ? transfer_remotely(allowance) : transfer(allowance);
      break;
    case kFlush:
      step = flush(allowance);
      break;
    case kIdentify:
      step = identify();
      break;
    default:
      break;
  }
  if (step == Step::SpentAll) return Progress::More;
  if (step == Step::Waits) return Progress::Waits;
  const std::uint8_t status = step == Step::Ok      ? kOk
                              : step == Step::Error ? kIoError
                                                    : kUnsupported;
  return memory_.write({request_.status_address}, status) ? Progress::Over : Progress::Broken;
}

// What the host cannot do now it could not do in the run that is repeated, and what it can do now
// it could: the witness sees to it.
template <typename Call>
VirtioBlock::Outcome VirtioBlock::attempt(const Call& call) {
  Outcome outcome = Outcome::Failed;
  if (witness_ == nullptr || !witness_->failed_after(number_, transfers_)) {
    outcome = call();
    if (witness_ != nullptr && outcome == Outcome::UnderWay) witness_->waits();
    if (witness_ != nullptr && outcome == Outcome::Failed) {
      using Until = DiskFailure::Until;
      witness_->fails({number_, transfers_, backend_->is_gone() ? Until::End : Until::Next});
    }
  }
  if (outcome != Outcome::UnderWay) ++transfers_;
  return outcome;
}

// It has a part of the work to itself: only then it is known that nothing of the machine has
// changed while the host was not ready.
VirtioBlock::Step VirtioBlock::flush(Allowance& allowance) {
  const bool is_alone = allowance.is_whole();
  allowance.spend_all();
  if (!is_alone) return Step::SpentAll;
  const Outcome outcome = attempt([&] { return backend_->flush(); });
  if (outcome == Outcome::UnderWay) return Step::Waits;
  return outcome == Outcome::Done ? Step::Ok : Step::Error;
}

// Whole sectors, all of them on the disk.
bool VirtioBlock::on_disk() const {
  const std::uint64_t size = total_size(data_), sectors = backend_->size() / kSector;
  return size % kSector == 0 && request_.sector <= sectors &&
         size / kSector <= sectors - request_.sector;
}

bool VirtioBlock::is_there(const VirtioSegment& segment) {
  return request_.type == kRead ? memory_.can_write(segment.address, segment.size)
                                : memory_.readable(segment.address, segment.size) != nullptr;
}

// Of a segment that is not in memory as a whole nothing is touched.
VirtioBlock::Step VirtioBlock::transfer(Allowance& allowance) {
  if (!on_disk() || (request_.type == kWrite && backend_->read_only())) return Step::Error;
  while (request_.segment < data_.size()) {
    if (!is_there(data_[request_.segment])) return Step::Error;
    const std::vector<VirtioSegment> pieces = next_pieces(allowance.left());
    if (pieces.empty()) return Step::SpentAll;
    const std::size_t moved = move(pieces, allowance);
    complete(Pieces(pieces).first(moved));
    if (moved != pieces.size()) {
      if (request_.type == kRead) clear_what_failed(allowance);
      return Step::Error;
    }
  }
  return Step::Ok;
}

// The host may have read any part of it, which a run that is repeated would not know: the rest of
// the segment is zeros, as far as a part of the work would go.
void VirtioBlock::clear_what_failed(Allowance& allowance) {
  const VirtioSegment& segment = data_[request_.segment];
  const Gpa address = segment.address + request_.within;
  const std::uint32_t size = std::min(segment.size - request_.within, Allowance::kBytes);
  std::memset(memory_.writable(address, size), 0, size);
  memory_.written(address, size);
  allowance.spend(size);
}

// Gives how many were moved, from the first on. Each piece is a transfer with a number of its own,
// and costs what it would cost by itself: that the host moves all of them with one system call is
// not to be seen by anybody.
std::size_t VirtioBlock::move(Pieces pieces, Allowance& allowance) {
  const std::uint64_t offset = request_.sector * kSector + request_.done;
  const std::uint64_t size = total_size(pieces);
  if (offset > backend_->size() || size > backend_->size() - offset) return 0;
  const std::vector<VirtioSegment> possible = up_to_a_known_failure(pieces);
  const std::uint64_t bytes =
      request_.type == kWrite ? write_from(offset, possible) : read_into(offset, possible);
  const std::size_t moved = whole_pieces(pieces, bytes);
  const std::uint64_t moved_bytes = total_size(pieces.first(moved));
  transfers_ += moved;
  allowance.spend(moved_bytes);
  if (moved == pieces.size()) return moved;
  const std::uint64_t written = request_.type == kWrite ? bytes - moved_bytes : 0;
  if (bytes != total_size(possible) && witness_ != nullptr)
    witness_->fails({number_, transfers_, DiskFailure::Until::Next, written});
  ++transfers_;
  allowance.spend(pieces[moved].size);
  return moved;
}

// Without those from the first on that failed in the run that is repeated, but with what of that
// one was written.
std::vector<VirtioSegment> VirtioBlock::up_to_a_known_failure(Pieces pieces) const {
  std::vector<VirtioSegment> possible;
  for (VirtioSegment piece : pieces) {
    const auto written = witness_ == nullptr
                             ? std::nullopt
                             : witness_->failed_after(number_, transfers_ + possible.size());
    if (written)
      piece.size = static_cast<std::uint32_t>(std::min<std::uint64_t>(*written, piece.size));
    if (piece.size != 0) possible.push_back(piece);
    if (written) break;
  }
  return possible;
}

std::uint64_t VirtioBlock::read_into(std::uint64_t offset, Pieces pieces) {
  std::vector<std::span<std::byte>> memory;
  memory.reserve(pieces.size());
  for (const VirtioSegment& piece : pieces)
    memory.emplace_back(memory_.writable(piece.address, piece.size), piece.size);
  const std::uint64_t moved = backend_->read_pieces(offset, memory);
  for (const VirtioSegment& piece : pieces.first(whole_pieces(pieces, moved)))
    memory_.written(piece.address, piece.size);
  return moved;
}

std::uint64_t VirtioBlock::write_from(std::uint64_t offset, Pieces pieces) {
  std::vector<std::span<const std::byte>> memory;
  memory.reserve(pieces.size());
  for (const VirtioSegment& piece : pieces)
    memory.emplace_back(memory_.readable(piece.address, piece.size), piece.size);
  return backend_->write_pieces(offset, memory);
}

// One transfer for all segments, as far as a part of the work goes, because each takes its time.
// It has that part to itself, as a flush has.
VirtioBlock::Step VirtioBlock::transfer_remotely(Allowance& allowance) {
  if (!on_disk() || (request_.type == kWrite && backend_->read_only())) return Step::Error;
  if (request_.segment == data_.size()) return Step::Ok;
  const bool is_alone = allowance.is_whole();
  allowance.spend_all();
  if (!is_alone) return Step::SpentAll;
  const std::vector<VirtioSegment> pieces = next_pieces(Allowance::kBytes);
  if (pieces.empty()) return Step::Error;
  const Outcome outcome = move_remotely(pieces);
  if (outcome == Outcome::UnderWay) return Step::Waits;
  is_begun_ = false;
  if (outcome != Outcome::Done) return Step::Error;
  complete(pieces);
  return request_.segment == data_.size() ? Step::Ok : Step::SpentAll;
}

// What follows in the request, up to a segment that is not in memory, and no more bytes than that.
std::vector<VirtioSegment> VirtioBlock::next_pieces(std::uint32_t most) {
  std::vector<VirtioSegment> pieces;
  std::uint32_t within = request_.within;
  for (std::size_t i = request_.segment; i < data_.size() && most != 0; ++i) {
    if (!is_there(data_[i])) break;
    const std::uint32_t part = std::min(data_[i].size - within, most);
    pieces.push_back({data_[i].address + within, part, 0});
    most -= part;
    within = 0;
  }
  return pieces;
}

VirtioBlock::Outcome VirtioBlock::move_remotely(Pieces pieces) {
  const std::uint64_t offset = request_.sector * kSector + request_.done;
  buffer_.resize(total_size(pieces));
  // Where vCPUs run meanwhile, they may change what is written; it is taken once.
  if (request_.type == kWrite && !is_begun_) {
    std::size_t at = 0;
    for (const VirtioSegment& piece : pieces) {
      std::memcpy(buffer_.data() + at, memory_.readable(piece.address, piece.size), piece.size);
      at += piece.size;
    }
  }
  is_begun_ = true;
  const Outcome outcome = attempt([&] {
    return request_.type == kWrite ? backend_->write(offset, buffer_)
                                   : backend_->read(offset, buffer_);
  });
  if (request_.type == kWrite || outcome != Outcome::Done) return outcome;
  std::size_t at = 0;
  for (const VirtioSegment& piece : pieces) {
    std::memcpy(memory_.writable(piece.address, piece.size), buffer_.data() + at, piece.size);
    memory_.written(piece.address, piece.size);
    at += piece.size;
  }
  return outcome;
}

void VirtioBlock::complete(Pieces pieces) {
  for (const VirtioSegment& piece : pieces) {
    const std::uint32_t size = data_[request_.segment].size;
    request_.done += piece.size;
    request_.within += piece.size;
    if (request_.within != size) return;
    request_.within = 0;
    ++request_.segment;
    if (request_.type == kRead) request_.written += size;
  }
}

VirtioBlock::Step VirtioBlock::identify() {
  std::string name = "ringside-" + std::to_string(number_);
  name.resize(20, '\0');
  std::size_t done = 0;
  for (const VirtioSegment& segment : data_) {
    const auto size =
        static_cast<std::uint32_t>(std::min<std::size_t>(segment.size, name.size() - done));
    std::byte* to = memory_.writable(segment.address, size);
    if (to == nullptr) return Step::Error;
    std::memcpy(to, name.data() + done, size);
    memory_.written(segment.address, size);
    done += size;
    request_.written += size;
  }
  return done == name.size() ? Step::Ok : Step::Error;
}

}  // namespace ringside::machine
