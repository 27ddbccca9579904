#include "time/saved/machine_saver.h"

#include <utility>

#include "base/state_bytes.h"

namespace ringside::time {
namespace {

// A slice packs so much, or goes through so much of nothing.
constexpr std::uint64_t kSlice = 2 * SavedChunk::kSize;
constexpr std::uint64_t kEmptyChunkCosts = SavedChunk::kSize / 32;
// Chunks are gathered, because every write costs something.
constexpr std::size_t kWrite = 1u << 20;

template <typename T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

Result<std::unique_ptr<MachineSaver>> MachineSaver::begin(const SavePlace& place,
                                                          SavedOptions options,
                                                          hypervisor::Engine& engine,
                                                          machine::Machine& machine,
                                                          const hypervisor::GuestRam& ram) {
  hypervisor::Recordable* const run = engine.recordable();
  if (run == nullptr)
    return fail(ErrorCode::NotSupported, "only the software CPU's machines can be saved");
  WholeFile file = TRY(WholeFile::create(place.folder, place.name, FileKind::SavedMachine));
  std::unique_ptr<MachineSaver> saver(new MachineSaver(std::move(file), ram));
  StateSaver state;
  run->visit_processors(state);
  machine.visit_state(state);
  saver->state_ = std::move(state.saved);
  options.roms = roms_of(ram);
  options.at = {run->progress(), engine.now()};
  TRY(saver->begin_file(options));
  return saver;
}

Result<void> MachineSaver::begin_file(SavedOptions& options) {
  StateSaver description;
  options.visit(description);
  header_.description_size = static_cast<std::uint32_t>(description.saved.size());
  header_.description_hash = saved_hash(description.saved);
  TRY(write(bytes_of(header_)));
  return write(description.saved);
}

Result<void> MachineSaver::write(std::span<const std::byte> bytes) {
  TRY(file_.write(bytes));
  written_ += bytes.size();
  return {};
}

Result<bool> MachineSaver::advance() {
  for (std::uint64_t budget = kSlice; budget != 0;) {
    const std::optional<PackedChunk> chunk = packing_.next();
    if (!chunk) {
      TRY(write_rest());
      return true;
    }
    const bool empty = chunk->entry.pages == 0;
    budget -= std::min(budget, empty ? kEmptyChunkCosts : SavedChunk::kSize);
    if (empty) continue;
    index_.push_back(chunk->entry);
    gathered_.insert(gathered_.end(), chunk->bytes.begin(), chunk->bytes.end());
    if (gathered_.size() < kWrite) continue;
    TRY(write(gathered_));
    gathered_.clear();
  }
  return false;
}

Result<void> MachineSaver::write_rest() {
  TRY(write(gathered_));
  SavedTrailer trailer;
  trailer.state_at = written_;
  trailer.state_size = state_.size();
  trailer.state_hash = saved_hash(state_);
  trailer.chunks = index_.size();
  const std::span<const std::byte> index = std::as_bytes(std::span(index_));
  trailer.index_hash = saved_hash(index);
  trailer.hash = hash_of_frame(header_, trailer);
  TRY(write(state_));
  TRY(write(index));
  TRY(write(bytes_of(trailer)));
  return file_.finish();
}

Result<std::uint64_t> save_machine(const SavePlace& place, SavedOptions options,
                                   hypervisor::Engine& engine, machine::Machine& machine,
                                   const hypervisor::GuestRam& ram) {
  const auto saver = TRY(MachineSaver::begin(place, std::move(options), engine, machine, ram));
  while (!TRY(saver->advance())) {
  }
  return saver->written();
}

}  // namespace ringside::time
