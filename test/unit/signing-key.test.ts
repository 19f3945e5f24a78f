import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { openSigningKey } from '../../lib/store/signing-key.ts'
import { captureFailure } from '../support/failures.ts'
import { makeFolder, removeFolders } from '../support/folders.ts'

describe('a signing key in a file', () => {
  afterEach(removeFolders)

  it('is made at first use for its owner alone, and is the same ever after', async () => {
    const path = join(await makeFolder(), 'signing.key')
    const { publicKey } = await openSigningKey(path)
    expect((await stat(path)).mode & 0o777).to.equal(0o600)
    expect((await openSigningKey(path)).publicKey.equals(publicKey)).to.equal(true)
    expect((await openSigningKey(join(await makeFolder(), 'other.key'))).publicKey.equals(publicKey)).to.equal(false)
  })

  it('is refused when others may read it, when it is no key, and where it cannot be made', async () => {
    const folder = await makeFolder()
    const path = join(folder, 'signing.key')
    await openSigningKey(path)
    await chmod(path, 0o640)
    const open = await captureFailure(openSigningKey(path))
    expect(open).to.include({ code: 'bad-config' })
    expect(open.message).to.include(`chmod 600 ${path}`)
    await chmod(path, 0o600)
    await writeFile(path, 'short')
    const wrong = await captureFailure(openSigningKey(path))
    expect(wrong).to.include({ code: 'bad-config' })
    expect(wrong.message, 'never tells what it holds').to.not.include(await readFile(path, 'utf8'))
    expect((await captureFailure(openSigningKey(join(folder, 'missing', 'key')))).code).to.equal('directory-unusable')
    expect((await captureFailure(openSigningKey(folder))).code).to.equal('bad-config')
  })
})
